"""What each class of case asks of a backend. A check returns, or raises saying what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from snnhw.conformance.bench import Bench, Stepped, dtype_of, run_of, shifts_of, stepped_by, trained_by
from snnhw.conformance.case import Case
from snnhw.conformance.cases.training import STEPS
from snnhw.conformance.checks.laws import LAWS
from snnhw.conformance.checks.slack import (
    TRAINED,
    changing,
    explained,
    few,
    near_loss,
    near_slope,
    near_statistics,
    unchanged,
    way_of,
)
from snnhw.conformance.checks.yardsticks import Yardstick, yardstick
from snnhw.parity.comparison import summary
from snnhw.parity.differ import same_bits, within
from snnhw.parity.measured import every_bit, measuring, of_parity, relative, worst_slope
from snnhw.parity.result import NOTHING, Disagreement, Measured
from snnhw.plugin import Result
from snnhw.reference.unroll import lines

__all__ = ["CHECKS", "Check", "check"]

Check = Callable[[Bench, Case, Yardstick], Measured]


def exact(bench: Bench, case: Case, by: Yardstick) -> Measured:
    """Every bit of every port, of the final state, of the loss and of the updated parameters."""
    if case.loss is None:
        return every_bit(case.program, run_of(bench, case), by.run(case))
    found, wanted = stepped_by(bench, case), by.step(case)
    measured = _of_slopes(found, wanted)
    with measuring(measured):
        _same_ends(found, wanted)
        if found.loss != wanted.loss:
            raise Disagreement(f"the loss is {found.loss!r}, not {wanted.loss!r}")
        same_bits("after one update, parameter", found.params, wanted.params)
    return measured


def integer(bench: Bench, case: Case, by: Yardstick) -> Measured:
    """Every integer of every port and of the final state."""
    return every_bit(case.program, run_of(bench, case), by.run(case))


def pointwise(bench: Bench, case: Case, by: Yardstick) -> Measured:
    """Every bit, at whatever precision the backend computes in; unless it contracts, and says so, or is held
    to what does so, or computes in another precision."""
    contracted = bench.capabilities.contraction or by.contracts
    if case.loss is not None:
        return gradient(bench, case, by) if contracted else _adjoints(bench, case, by)
    found = run_of(bench, case)
    if not contracted:
        dtype = dtype_of(found.recordings)
        wanted = by.run(case, dtype)
        if dtype_of(wanted.recordings) == dtype:
            return every_bit(case.program, found, wanted)
    return _within_rounding(case, found, by)


def _adjoints(bench: Bench, case: Case, by: Yardstick) -> Measured:
    """Every bit of what flowed back into the inputs; parameters sum over time, in no order."""
    found = stepped_by(bench, case)
    dtype = dtype_of(found.outputs)
    wanted = by.step(case, dtype)
    if dtype_of(wanted.outputs) != dtype:
        return gradient(bench, case, by)
    measured = _of_slopes(found, wanted)
    with measuring(measured):
        _same_ends(found, wanted)
        same_bits("the negative of the adjoint", shifts_of(found.params), shifts_of(wanted.params))
    return measured


def rounded(bench: Bench, case: Case, by: Yardstick) -> Measured:
    """Rounding explains every difference; where that is promised, few spikes differ."""
    return _within_rounding(case, run_of(bench, case), by)


def gradient(bench: Bench, case: Case, by: Yardstick) -> Measured:
    """The gradient of every parameter, seen in the first update; what is not trained stays as it is."""
    found, wanted = stepped_by(bench, case), by.step(case)
    measured = _of_slopes(found, wanted)
    with measuring(measured):
        near_loss("the loss", found.loss, wanted.loss)
        if by.alone:
            unchanged(case, found.params)
        for key, slope in wanted.slopes.items():
            near_slope(case, key, found.slopes[key], slope, runs=by.runs)
        near_statistics(found.params, wanted.statistics)
    return measured


def training(bench: Bench, case: Case, by: Yardstick) -> Measured:
    """The loss of every step, and the parameters after the last."""
    wanted, target = by.trained(case)
    losses, after = trained_by(bench, case, STEPS)
    ways = {key: way_of(case, key, target[key]) for key in sorted(changing(case))}
    errors = [relative(after[key], target[key], way) for key, way in ways.items()]
    measured = Measured(gradient_error=max(errors, default=None))
    with measuring(measured):
        for step, pair in enumerate(zip(losses, wanted, strict=True)):
            near_loss(f"the loss of step {step}", *pair)
        if by.alone:
            unchanged(case, after)
        for key, way in ways.items():
            within(f"trained parameter '{key}'", after[key], target[key], by.runs * TRAINED * way)
    return measured


def _of_slopes(found: Stepped, wanted: Stepped) -> Measured:
    return Measured(gradient_error=worst_slope(found.slopes, wanted.slopes))


def _same_ends(found: Stepped, wanted: Stepped) -> None:
    same_bits("output", found.outputs, wanted.outputs)
    same_bits("final state", found.state, wanted.state)


def _within_rounding(case: Case, found: Result, by: Yardstick) -> Measured:
    if by.alone:
        _as_recorded(case, found)
    parity = summary(by.judged(case, found), case.time_steps)
    measured = of_parity(parity)
    with measuring(measured):
        explained(parity)
        if case.cls in by.few:
            few(parity)
    return measured


def _as_recorded(case: Case, found: Result) -> None:
    """Raise unless outputs and the final state are what was recorded, in every bit: with error bounds, only
    recordings are compared."""
    program, seen, steps = case.program, found.recordings, case.time_steps
    outputs = {name: seen[port] for name, port in program.outputs().items() if port in seen}
    same_bits("output", {name: found.outputs[name] for name in outputs}, outputs)
    ends = {line.key: line for line in lines(program) if line.source in seen and line.length <= steps}
    last = {
        key: seen[line.source][steps - line.length :] if line.edge else seen[line.source][-1]
        for key, line in ends.items()
    }
    same_bits("as it was recorded, final state", last, {key: found.state[key] for key in ends})


CHECKS: Final[Mapping[str, Check]] = {
    "exact": exact,
    "integer": integer,
    "pointwise": pointwise,
    "margin": rounded,
    "near": rounded,
    "gradient": gradient,
    "training": training,
}
"""Class of case -> its check. A law brings its own."""


def check(bench: Bench, case: Case, against: Bench | None = None) -> Measured:
    """Hold a backend to a case, by the reference or by another backend; raises what is wrong."""
    if case.cls == "law":
        LAWS[case.law](bench, case)
        return NOTHING
    return CHECKS[case.cls](bench, case, yardstick(against))
