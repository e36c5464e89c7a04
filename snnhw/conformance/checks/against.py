"""Two backends held to each other, with no reference between them.

What each class asks of a backend and the reference is asked of two backends: equal bits where the numbers
are exact; where they are not, no more difference than rounding explains in either. Laws are about one
backend alone, and are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from snnhw.conformance.bench import Bench, dtype_of, run_of, shifts_of, slopes_of, stepped_by, trained_by
from snnhw.conformance.case import Case
from snnhw.conformance.cases.training import STEPS
from snnhw.conformance.checks.slack import (
    TRAINED,
    changing,
    explained,
    few,
    near_loss,
    near_slope,
    near_statistics,
    way_of,
)
from snnhw.parity.comparison import compared, summary
from snnhw.parity.differ import same_bits, within
from snnhw.parity.measured import every_bit, measuring, of_parity, relative, worst_slope
from snnhw.parity.result import Measured
from snnhw.plugin import Result

__all__ = ["COMPARISONS", "Comparison"]

Comparison = Callable[[Bench, Bench, Case], Measured]


def exact(one: Bench, other: Bench, case: Case) -> Measured:
    """Every bit of a run, or of one update."""
    if case.loss is None:
        return every_bit(case.program, run_of(one, case), run_of(other, case))
    (loss, after), (wanted, target) = trained_by(one, case, 1), trained_by(other, case, 1)
    measured = Measured(gradient_error=worst_slope(slopes_of(case, after), slopes_of(case, target)))
    with measuring(measured):
        same_bits("the loss, of step", {"0": np.array(loss[0])}, {"0": np.array(wanted[0])})
        same_bits("after one update, parameter", after, target)
    return measured


def pointwise(one: Bench, other: Bench, case: Case) -> Measured:
    """Every bit, if both round every operation to the same dtype; otherwise what rounding explains."""
    contracted = one.capabilities.contraction or other.capabilities.contraction
    if case.loss is not None:
        return gradient(one, other, case) if contracted else _adjoints(one, other, case)
    found, wanted = run_of(one, case), run_of(other, case)
    if contracted or dtype_of(found) != dtype_of(wanted):
        return _near(case, found, wanted)
    return every_bit(case.program, found, wanted)


def _adjoints(one: Bench, other: Bench, case: Case) -> Measured:
    """Every bit of what flowed back into the inputs, if both compute in the same dtype."""
    (found, after), (wanted, target) = stepped_by(one, case), stepped_by(other, case)
    if {x.dtype for x in found.values()} != {x.dtype for x in wanted.values()}:
        return gradient(one, other, case)
    measured = Measured(gradient_error=worst_slope(slopes_of(case, after), slopes_of(case, target)))
    with measuring(measured):
        same_bits("output", found, wanted)
        same_bits("the negative of the adjoint", shifts_of(after), shifts_of(target))
    return measured


def near(one: Bench, other: Bench, case: Case) -> Measured:
    """Rounding explains every difference, and few spikes differ."""
    return _near(case, run_of(one, case), run_of(other, case))


def gradient(one: Bench, other: Bench, case: Case) -> Measured:
    """The gradient of every parameter, seen in the first update."""
    (loss, after), (wanted, target) = trained_by(one, case, 1), trained_by(other, case, 1)
    seen, slopes = slopes_of(case, after), slopes_of(case, target)
    measured = Measured(gradient_error=worst_slope(seen, slopes))
    with measuring(measured):
        near_loss("the loss", loss[0], wanted[0])
        for key, slope in slopes.items():
            near_slope(case, key, seen[key], slope, runs=2)
        near_statistics(after, {key: np.asarray(target[key]) for key in case.program.statistics()})
    return measured


def training(one: Bench, other: Bench, case: Case) -> Measured:
    """The loss of every step, and the parameters after the last."""
    (losses, after), (wanted, target) = (trained_by(bench, case, STEPS) for bench in (one, other))
    ways = {key: way_of(case, key, np.asarray(target[key])) for key in sorted(changing(case))}
    errors = [relative(after[key], np.asarray(target[key]), way) for key, way in ways.items()]
    measured = Measured(gradient_error=max(errors, default=None))
    with measuring(measured):
        for step, pair in enumerate(zip(losses, wanted, strict=True)):
            near_loss(f"the loss of step {step}", *pair)
        for key, way in ways.items():
            within(f"trained parameter '{key}'", after[key], target[key], 2 * TRAINED * way)
    return measured


def _near(case: Case, found: Result, wanted: Result) -> Measured:
    judged = compared(
        case.program,
        case.params,
        case.inputs,
        found.recordings,
        time_steps=case.time_steps,
        state=case.state,
        against=wanted.recordings,
    )
    parity = summary(judged, case.time_steps)
    measured = of_parity(parity)
    with measuring(measured):
        explained(parity)
        few(parity)
    return measured


COMPARISONS: Final[Mapping[str, Comparison]] = {
    "exact": exact,
    "pointwise": pointwise,
    "margin": near,
    "near": near,
    "gradient": gradient,
    "training": training,
}
"""Class of case -> how two backends are compared on it."""
