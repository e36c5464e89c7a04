"""Laws about claims: what a backend does not list it refuses, and what is not the device says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import get_args, get_type_hints

import numpy as np

from snnhw.check import prepared, reasons_against
from snnhw.conformance.bench import Bench
from snnhw.conformance.case import Case, to_run, turn_of
from snnhw.conformance.expected import reference_run
from snnhw.errors import SnnhwError
from snnhw.ir import SGD, Edge, FrozenMap, Input, Loss, Op, Params, Program, Term
from snnhw.ir.losses import LossKind
from snnhw.ir.ops import Shape
from snnhw.parity.arrays import Arrays
from snnhw.parity.result import Disagreement
from snnhw.plugin import STAND_INS, Explanation, Probe, label_of

__all__ = [
    "describes",
    "is_refused",
    "labels",
    "refuses",
    "refuses_inputs",
    "refuses_targets",
    "refuses_training",
]


def refuses(bench: Bench, case: Case) -> None:
    """An op that nobody has heard of is neither claimed nor run."""
    program = Program(FrozenMap({**case.program.nodes, "odd": UnheardOp()}), case.program.edges)
    first = program.named(Input)[0]
    program = replace(program, edges=(*program.edges, Edge(f"{first}.y", "odd.x")))
    _refused(bench, replace(case, program=program, record=("odd.y",)), "an op")


def refuses_training(bench: Bench, case: Case) -> None:
    """Neither a term of a loss nor an optimizer that nobody has heard of is claimed, or trained with."""
    assert case.loss is not None
    (first, *_) = case.loss.terms
    _refused(bench, replace(case, loss=Loss((Term(UnheardKind(), of=first.of),))), "a term of a loss")
    _refused(bench, replace(case, optimizer=UnheardOptimizer(lr=0.5)), "an optimizer")


def refuses_inputs(bench: Bench, case: Case) -> None:
    """What does not fit the program is an error of a kind that callers know, not a result."""
    port, x = next(iter(case.inputs.items()))
    y = np.asarray(x)
    wrong: dict[str, Arrays] = {
        "an input that is missing": {},
        "an input that nobody asked for": {**case.inputs, "odd": y},
        "samples that are too long": {**case.inputs, port: np.concatenate([y, y], axis=-1)},
        "samples that are too short": {**case.inputs, port: y[..., :-1]},
        "an input without a batch": {**case.inputs, port: y[:, 0]},
    }
    with bench.compile(case) as executable:
        for what, inputs in wrong.items():
            is_refused(f"it runs with {what}", partial(executable.run, inputs))
        state = {key: array[..., :-1] for key, array in reference_run(case).state.items()}
        is_refused("it runs from a state of the wrong shape", partial(executable.run, case.inputs, state))
        is_refused("it runs from a state in which all is missing", partial(executable.run, case.inputs, {}))
        short = {key: np.asarray(array)[..., :-1] for key, array in case.params.items() if np.ndim(array)}
        is_refused("it takes parameters of the wrong shape", partial(executable.set_params, short))
        odd: Params = {"odd.weight": np.zeros(1, np.float32)}
        is_refused("it takes a parameter that no node has", partial(executable.set_params, odd))


def refuses_targets(bench: Bench, case: Case) -> None:
    """A job to run trains nothing; one to train refuses what is no target of its loss."""
    running = to_run(case)
    with bench.compile(running) as executable:
        is_refused("it trains without a loss", partial(executable.step, case.inputs, case.targets))
    inputs, targets = turn_of(case, 0)
    name, classes = next(iter(targets.items()))
    wrong: dict[str, Arrays] = {
        "without its target": {},
        "with a target of another batch": {name: classes[:-1]},
        "with a class that there is not": {name: classes + 1000},
        "with classes that are no whole numbers": {name: classes + 0.5},
    }
    with bench.compile(case) as executable:
        is_refused("it trains without inputs", partial(executable.step, {}, targets))
        for what, given in wrong.items():
            is_refused(f"it trains {what}", partial(executable.step, inputs, given))
        other = UnheardOptimizer(lr=0.5)
        is_refused("it continues with another kind of optimizer", partial(executable.set_optimizer, other))


def is_refused(what: str, attempt: Callable[[], object]) -> None:
    """Raise unless an attempt ends in an error of `snnhw.errors`."""
    try:
        attempt()
    except SnnhwError:
        return
    except Exception as error:
        raise Disagreement(
            f"when refused it should be by an InputError, but: {what}, and {type(error).__name__}: {error}"
        ) from error
    raise Disagreement(what)


def describes(bench: Bench, case: Case) -> None:
    """It says whether it can run here, and what it would do, in words; nothing is compiled for either."""
    found = bench.plugin.probe()
    if not isinstance(found, Probe) or found.status not in get_args(get_type_hints(Probe)["status"]):
        raise Disagreement(f"probe() gives {found!r}; give a snnhw.plugin.Probe with one of its statuses")
    if not found.ready and not (found.reason and found.install):
        raise Disagreement(f"probe() says '{found.status}', but not why, and what mends it: {found!r}")
    if bench.capabilities.paths and "paths" not in {item.name for item in fields(bench.plugin.Options)}:
        raise Disagreement("it declares paths, but has no option 'paths' that forces them")
    plan = bench.plugin.explain(prepared(case.program, bench.capabilities), bench.job(case))
    if not isinstance(plan, Explanation) or not (plan.tables or plan.sources):
        raise Disagreement(f"explain() gives {plan!r}; give a snnhw.plugin.Explanation that holds something")
    words = [cell for rows in plan.tables.values() for row in rows for cell in row]
    if any(not isinstance(word, str) for word in (*words, *plan.sources.values())):
        raise Disagreement("explain() gives tables or sources with something in them that is no text")
    if any(len(row) != len(rows[0]) for rows in plan.tables.values() for row in rows):
        raise Disagreement("explain() gives a table whose rows are not as long as its heading")


def labels(bench: Bench, case: Case) -> None:
    """Results of what stands in for the device are marked, in words that fit on a line."""
    known = {item.name for item in fields(bench.plugin.Options)}
    asked = [replace(bench, options={**bench.options, name: True}) for name in STAND_INS if name in known]
    for each in (bench, *asked):
        label, options = label_of(each.plugin, each.job(case).options), dict(each.options)
        if label != " ".join(label.split()):
            raise Disagreement(f"with options {options} its label is {label!r}; give words on one line")
        if each is not bench and not label:
            raise Disagreement(
                f"with options {options} its results are not marked; see snnhw.plugin.label_of"
            )


def _refused(bench: Bench, case: Case, what: str) -> None:
    if not reasons_against(case.program, bench.capabilities, bench.job(case)):
        raise Disagreement(f"its capabilities claim {what} that no version of the language has")
    try:
        with bench.compile(case) as executable:
            if case.loss is None:
                executable.run(case.inputs)
            else:
                executable.step(case.inputs, case.targets)
    except (Exception, SystemExit):  # noqa: BLE001  # any refusal will do: core asks the capabilities first
        return
    raise Disagreement(f"it runs {what} that its capabilities do not list")


@dataclass(frozen=True)
class UnheardOp(Op):
    """An op of this suite alone."""

    def infer(self, shapes: Mapping[str, Shape]) -> Mapping[str, Shape]:
        return {"y": shapes["x"]}


@dataclass(frozen=True)
class UnheardKind(LossKind):
    """A kind of loss term of this suite alone."""

    target = "none"


@dataclass(frozen=True)
class UnheardOptimizer(SGD):
    """An optimizer of this suite alone: a backend that asks what it is like, and not what it is, takes it."""
