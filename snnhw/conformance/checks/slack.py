"""How far a backend may be from the reference, each number with its reason."""

from __future__ import annotations

from typing import Final

import numpy as np

from snnhw.conformance.case import Case
from snnhw.conformance.expected import gradient_of
from snnhw.ir import Params
from snnhw.parity.arrays import Array
from snnhw.parity.comparison import Parity
from snnhw.parity.differ import same_bits, within
from snnhw.parity.result import Disagreement

__all__ = [
    "GRADIENT",
    "TRAINED",
    "changing",
    "explained",
    "few",
    "near_loss",
    "near_slope",
    "near_statistics",
    "unchanged",
    "way_of",
]

EXCUSED: Final = 2e-4
"""The share of spikes that may differ near threshold; two in any case. The bound on rounding, which is
never exhausted, reaches the threshold of fewer than one in a hundred."""

GRADIENT: Final = 2e-5
"""Relative to the largest entry of a gradient: some hundred products and sums one after the other, each
of which may add a rounding of 6e-8, and room for transcendental functions of a few more."""

EPSILON: Final = 2.0**-23
"""Of float32, in which parameters are given and returned."""

CANCELLING: Final = 4.0
"""Times what the reference loses in single precision: another order of summation loses as much again."""

LOSS: Final = 1e-5
"""Relative: exponentials and sums over at most a hundred terms."""

TRAINED: Final = 5e-4
"""Relative to how far training moved a parameter, which may be a hundredth of its size: twenty gradients,
each with the error above, and divisions by their size."""


def explained(parity: Parity) -> None:
    """Raise unless rounding explains every difference."""
    if not parity.ok:
        raise Disagreement(
            f"{parity.first}; in all, {parity.unexplained_mismatches} spikes and {parity.membranes_outside} "
            "other values differ by more than rounding explains"
        )


def few(parity: Parity) -> None:
    """Raise when more spikes differ near threshold than rounding alone lets differ."""
    if parity.excused_near_threshold > max(2.0, EXCUSED * parity.spikes_compared):
        raise Disagreement(
            f"{parity.excused_near_threshold} of {parity.spikes_compared} spikes differ near threshold; "
            f"rounding alone lets fewer than {EXCUSED:.2%} differ"
        )


def near_slope(case: Case, key: str, found: Array, wanted: Array, *, runs: int = 1) -> None:
    """Raise unless a gradient differs by less than rounding explains, in so many runs.

    That is a relative part, and what rounding the new parameter takes away; where terms cancel, also what
    the reference itself loses in single precision.
    """
    unit = EPSILON * (np.abs(np.asarray(case.params[key], np.float64)) + np.abs(wanted))
    bound = runs * np.asarray(GRADIENT * np.max(np.abs(wanted)) + unit)
    if found.shape == wanted.shape and not (np.abs(found - wanted) <= bound).all():
        lost = gradient_of(case, dtype="float32").params[key] - gradient_of(case).params[key]
        bound = bound + runs * CANCELLING * np.max(np.abs(lost))
    within(f"the gradient of '{key}'", found, wanted, bound)


def way_of(case: Case, key: str, after: Array) -> float:
    """How far training moved a parameter, at most."""
    return float(np.max(np.abs(after - np.asarray(case.params[key], np.float64))))


def near_loss(what: str, found: float, wanted: float) -> None:
    """Raise unless two losses differ by less than rounding explains."""
    within(what, np.float64(found), wanted, LOSS * abs(wanted))


def near_statistics(after: Params, wanted: Params) -> None:
    """Raise unless what a step of training measured differs by less than rounding explains."""
    for key, value in wanted.items():
        within(f"statistic '{key}'", after[key], value, GRADIENT * np.max(np.abs(value)))


def changing(case: Case) -> frozenset[str]:
    """Keys of all that training changes, by gradients or by measuring."""
    return case.program.trainable | case.program.statistics()


def unchanged(case: Case, after: Params) -> None:
    """Raise unless what is not trained stays as it is."""
    fixed = {key: array for key, array in case.params.items() if key not in changing(case)}
    same_bits("untrained parameter", {key: after[key] for key in fixed}, fixed)
