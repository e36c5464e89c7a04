"""Laws about claims: what a backend does not list it refuses, and what is not the device says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from snnhw.check import reasons_against
from snnhw.conformance.bench import Bench
from snnhw.conformance.case import Case
from snnhw.conformance.differ import Disagreement
from snnhw.ir import SGD, Edge, FrozenMap, Input, Loss, Op, Program, Term
from snnhw.ir.losses import LossKind
from snnhw.ir.ops import Shape
from snnhw.plugin import STAND_INS, label_of

__all__ = ["labels", "refuses", "refuses_training"]


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
