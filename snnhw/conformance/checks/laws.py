"""Laws: what must hold between several runs of one backend, whatever it computes.

Each is a function of the backend and a case. Where bits are compared across batches or splits, the case
is proven exact, so that no order of sums can be an excuse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any, Final, get_args, get_type_hints

import numpy as np

from snnhw.conformance.bench import Bench
from snnhw.conformance.case import Case, turn_of, with_samples, with_steps
from snnhw.conformance.checks.claims import (
    describes,
    labels,
    refuses,
    refuses_inputs,
    refuses_targets,
    refuses_training,
)
from snnhw.conformance.checks.ending import ends, ends_in_training
from snnhw.conformance.checks.ranks import shares
from snnhw.conformance.checks.states import keeps_settings, refuses_states
from snnhw.conformance.expected import gradient_of, reference_run
from snnhw.errors import SnnhwError
from snnhw.ir import Params
from snnhw.parity.arrays import Array, Arrays, hosts
from snnhw.parity.differ import same_bits, same_result
from snnhw.parity.result import Disagreement
from snnhw.plugin import Executable, Result
from snnhw.reference import update

__all__ = ["LAWS", "Law"]

Law = Callable[[Bench, Case], None]


def repeats(bench: Bench, case: Case) -> None:
    """The same run gives the same bits: again, in another executable, and after other runs."""
    with bench.compile(case) as one, bench.compile(case) as other:
        first = _kept(one.run(case.inputs, case.state))
        one.run({name: -x for name, x in case.inputs.items()}, case.state)
        for again in (one.run(case.inputs, case.state), other.run(case.inputs, case.state)):
            same_result(again, first, "when repeated, ")


def trains_alike(bench: Bench, case: Case) -> None:
    """The same training gives the same bits."""
    with bench.compile(case) as one, bench.compile(case) as other:
        _steps(one, case, 3)
        _steps(other, case, 3)
        same_bits("after the same training, parameter", one.get_params(), other.get_params())


def permutes(bench: Bench, case: Case) -> None:
    """Samples do not see each other: their order makes no difference."""
    order = np.random.default_rng(0).permutation(case.batch)
    with bench.compile(case) as executable:
        straight = _kept(executable.run(case.inputs))
        mixed = executable.run(with_samples(case, order).inputs)
    same_result(mixed, _chosen(case, straight, order), "with samples in another order, ")


def splits(bench: Bench, case: Case) -> None:
    """A run may stop at any step and go on from its state, in another executable."""
    cut = case.time_steps // 3
    whole = _run(bench, case)
    before = _run(bench, with_steps(case, slice(None, cut)))
    after = _run(bench, replace(with_steps(case, slice(cut, None)), state=before.state))
    joined = Result(
        _joined(before.outputs, after.outputs), _joined(before.recordings, after.recordings), after.state
    )
    same_result(joined, whole, f"when stopped at step {cut} and continued, ")


def fits(bench: Bench, case: Case) -> None:
    """Another batch and another number of steps are computed, or refused by a backend that says so."""
    fewer = with_steps(with_samples(case, slice(case.batch // 2)), slice(1, None))
    with bench.compile(case) as executable:
        try:
            found = executable.run(fewer.inputs)
        except SnnhwError:
            if bench.capabilities.fixed_shapes:
                return
            raise
    same_result(found, reference_run(fewer), "with fewer samples and steps, ")


def resumes(bench: Bench, case: Case) -> None:
    """Training goes on from a saved state, in another executable, as if nothing had happened."""
    with bench.compile(case) as one, bench.compile(case) as other:
        _steps(one, case, 3)
        saved = hosts(one.save_state())
        _steps(one, case, 4, first=3)
        other.load_state({name: np.array(array) for name, array in saved.items()})
        _steps(other, case, 4, first=3)
        same_bits("after training was resumed, parameter", other.get_params(), one.get_params())


def evaluates(bench: Bench, case: Case) -> None:
    """Running between steps of training changes nothing."""
    with bench.compile(case) as one, bench.compile(case) as other:
        for step in range(3):
            _steps(one, case, 1, first=step)
            _steps(other, case, 1, first=step)
            other.run(turn_of(case, step)[0])
        same_bits("after runs between its steps, parameter", other.get_params(), one.get_params())


def lives(bench: Bench, case: Case) -> None:
    """A program that has been trained is that of its parameters: its runs are those of one compiled afresh.

    What a backend makes of parameters, and keeps, would else go on as it was before an update.
    """
    with bench.compile(case) as executable:
        for step in range(3):
            inputs, targets = turn_of(case, step)
            executable.run(inputs)
            executable.step(inputs, targets)
            params = hosts(executable.get_params())
            now = replace(case, params=params, inputs=inputs, targets=targets, turns=1)
            same_result(_kept(executable.run(inputs)), _run(bench, now), f"after {step + 1} steps, ")


def round_trips(bench: Bench, case: Case) -> None:
    """Parameters come back as they were given, and those that are replaced are used."""
    with bench.compile(case) as executable:
        _as_given(executable.get_params(), case.params)
        halved = {key: np.multiply(array, 0.5, dtype=np.float32) for key, array in case.params.items()}
        executable.set_params(halved)
        _as_given(executable.get_params(), halved)
        key, array = next(iter(case.params.items()))
        executable.set_params({key: array})
        _as_given(executable.get_params(), {**halved, key: array})
        executable.set_params(case.params)
        found = executable.run(case.inputs)
    same_result(found, reference_run(case), "with parameters set again, ")


def owns(bench: Bench, case: Case) -> None:
    """Arrays that were handed over belong to the caller, and those received stay as they were."""
    inputs = {name: np.array(x) for name, x in case.inputs.items()}
    with bench.compile(case) as executable:
        found = executable.run(inputs)
        kept = _kept(found)
        same_bits("after a run, input", inputs, case.inputs)
        for mine in (*executable.get_params().values(), *inputs.values()):
            mine[...] = 0  # the caller's, to fill for what comes next
        executable.run(inputs, found.state)
        same_result(found, kept, "after a later run, ")
        same_result(executable.run(case.inputs), kept, "after the caller changed its arrays, ")


def reschedules(bench: Bench, case: Case) -> None:
    """Another learning rate takes effect at once; at 0 nothing moves."""
    assert case.optimizer is not None
    still = replace(case, optimizer=replace(case.optimizer, lr=0.0))
    with bench.compile(still) as executable:
        executable.step(case.inputs, case.targets)
        _as_given(executable.get_params(), case.params)
        executable.set_optimizer(case.optimizer)
        executable.step(case.inputs, case.targets)
        after = executable.get_params()
    wanted, _ = update(case.optimizer, case.params, gradient_of(case).params, {})
    same_bits("after the learning rate was raised from 0, parameter", after, wanted)


def agrees(bench: Bench, case: Case) -> None:
    """What it computes is exact, in a situation that is easily forgotten."""
    with bench.compile(case) as executable:
        same_result(executable.run(case.inputs, case.state), reference_run(case))


def computes(bench: Bench, case: Case) -> None:
    """Every dtype that it claims can be chosen, and is what it then computes in, stops and continues in."""
    for name, asked in _in_each_dtype(bench):
        found = _run(asked, case)
        for port, array in {**found.outputs, **found.recordings, **found.state}.items():
            if array.dtype.name != name:
                raise Disagreement(f"with dtype={name}, '{port}' is returned as {array.dtype.name}")
        same_result(found, reference_run(case), f"with dtype={name}, ")
        splits(asked, case)


def learns(bench: Bench, case: Case) -> None:
    """In every dtype that it claims, a step of training whose numbers all of them hold is exact."""
    assert case.optimizer is not None
    wanted = gradient_of(case)
    params, _ = update(case.optimizer, case.params, wanted.params, {})
    for name, asked in _in_each_dtype(bench):
        with asked.compile(case) as executable:
            found = executable.step(case.inputs, case.targets)
            for port, array in hosts({**found.outputs, **found.state}).items():
                if array.dtype.name != name:
                    raise Disagreement(f"with dtype={name}, '{port}' is returned as {array.dtype.name}")
            same_bits(f"with dtype={name}, output", found.outputs, wanted.execution.outputs)
            if found.loss != wanted.loss:
                raise Disagreement(f"with dtype={name}, the loss is {found.loss!r}, not {wanted.loss!r}")
            same_bits(f"with dtype={name}, after one update, parameter", executable.get_params(), params)


def rounds(bench: Bench, case: Case) -> None:
    """In every precision of products, and of signals, that can be chosen, numbers that it holds are exact,
    there and back."""
    hints = get_type_hints(bench.plugin.Options)
    choices = [{name: each} for name in ("precision", "signals") for each in get_args(hints.get(name))]
    for asked in [replace(bench, options={**bench.options, **each}) for each in choices] or [bench]:
        what = f"with {', '.join(f'{key}={value}' for key, value in asked.options.items())}, "
        if case.loss is None:
            same_result(_run(asked, case), reference_run(case), what)
            continue
        assert case.optimizer is not None
        wanted = gradient_of(case)
        with asked.compile(case) as executable:
            found = executable.step(case.inputs, case.targets)
            same_bits(f"{what}output", found.outputs, wanted.execution.outputs)
            params, _ = update(case.optimizer, case.params, wanted.params, {})
            same_bits(f"{what}after one update, parameter", executable.get_params(), params)


def _in_each_dtype(bench: Bench) -> Iterator[tuple[str, Bench]]:
    """It, asked for each dtype that it claims."""
    claimed, chooses = bench.capabilities.dtypes, "dtype" in {f.name for f in fields(bench.plugin.Options)}
    if len(claimed) > 1 and not chooses:
        raise Disagreement(f"it claims {', '.join(claimed)}, but has no option 'dtype' to choose one")
    for name in claimed:
        yield name, replace(bench, options={**bench.options, "dtype": name}) if chooses else bench


LAWS: Final[Mapping[str, Law]] = {
    "repeats": repeats,
    "trains-alike": trains_alike,
    "permutes": permutes,
    "splits": splits,
    "fits": fits,
    "resumes": resumes,
    "evaluates": evaluates,
    "lives": lives,
    "round-trips": round_trips,
    "owns": owns,
    "reschedules": reschedules,
    "shares": shares,
    "agrees": agrees,
    "computes": computes,
    "learns": learns,
    "rounds": rounds,
    "ends": ends,
    "ends-in-training": ends_in_training,
    "refuses": refuses,
    "refuses-training": refuses_training,
    "refuses-inputs": refuses_inputs,
    "refuses-targets": refuses_targets,
    "refuses-states": refuses_states,
    "keeps-settings": keeps_settings,
    "labels": labels,
    "describes": describes,
}
"""Name -> law."""


# -- pieces -----------------------------------------------------------------------------------------


def _run(bench: Bench, case: Case) -> Result:
    with bench.compile(case) as executable:
        return _kept(executable.run(case.inputs, case.state))


def _steps(executable: Executable, case: Case, count: int, *, first: int = 0) -> None:
    for step in range(first, first + count):
        executable.step(*turn_of(case, step))


def _as_given(found: Params, given: Params) -> None:
    same_bits("as it comes back, parameter", found, given)


def _kept(found: Result) -> Result:
    """Copies, which later calls cannot reach."""
    return Result(*(_copies(arrays) for arrays in (found.outputs, found.recordings, found.state)))


def _copies(arrays: Mapping[str, Any]) -> dict[str, Array]:
    return {name: np.array(array) for name, array in hosts(arrays).items()}


def _joined(before: Arrays, after: Arrays) -> dict[str, Array]:
    return {name: np.concatenate([x, after[name]]) for name, x in before.items()}


def _chosen(case: Case, found: Result, which: Array) -> Result:
    """Some samples of a result; a delayed edge's state has its own length in front of the batch."""
    lines = {edge.key for edge in case.program.edges if edge.delay}
    return Result(
        {name: x[:, which] for name, x in found.outputs.items()},
        {port: x[:, which] for port, x in found.recordings.items()},
        {key: x[:, which] if key in lines else x[which] for key, x in found.state.items()},
    )
