"""Numbers that know how far from them a backend may be.

A `Bounded` is a float64 value of the reference with a bound on the distance to what any backend
computes for it in its own dtype, in any order, contracted or not: first-order error analysis, with
`ULPS` units in the last place for every operation. A comparison is *open* when its operands are closer
than their bounds; what depends on it is bounded by both of its outcomes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from snnhw.ir import Namespace, numpy_namespace
from snnhw.parity.arrays import Array

__all__ = ["ULPS", "Bounded", "exactly", "functions", "plus"]

ULPS: Final = 4.0
"""Units in the last place that one operation may be off: half of one is IEEE's own; the rest is
room for transcendental functions, and makes the margin eight times the bound on strict arithmetic."""

Bounds = Array | float


@dataclass(frozen=True, eq=False, slots=True)
class Bounded:
    """Values with bounds, elementwise; of a comparison: bools, and which of them are open."""

    value: Array
    error: Bounds = 0.0


def exactly(value: object) -> Bounded:
    """What every backend is given alike."""
    return Bounded(np.asarray(value, np.float64))


def plus(a: Bounded, b: Bounded, unit: float) -> Bounded:
    """``a + b``; ``unit`` is how far one operation may be off, relative to its result."""
    total = a.value + b.value
    return Bounded(total, a.error + b.error + unit * np.abs(total))


def functions(unit: float) -> Namespace:
    """What `snnhw.ir.evaluate` needs to run an expression on bounded numbers."""

    def off(value: Array, error: Bounds) -> Bounded:
        return Bounded(value, error + unit * np.abs(value))

    def const(value: float) -> Bounded:
        short = float(np.float32(value))  # what float32 holds, every backend holds
        return Bounded(np.asarray(value, np.float64), 0.0 if short == value else unit * abs(value))

    def mul(a: Bounded, b: Bounded) -> Bounded:
        slack = np.abs(a.value) * b.error + np.abs(b.value) * a.error + a.error * b.error
        return off(a.value * b.value, slack)

    def div(a: Bounded, b: Bounded) -> Bounded:
        quotient = a.value / b.value
        smallest = np.maximum(np.abs(b.value) - b.error, 0.0)  # 0: the bound is infinite, and says so
        return off(quotient, (a.error + np.abs(quotient) * b.error) / smallest)

    def smooth(function: Callable[[Array], Array], slope: Callable[[Array, Bounds], Bounds]) -> Any:
        """A function and a bound on its slope near x."""
        return lambda a: off(function(a.value), slope(a.value, a.error) * a.error)

    return {
        "const": const,
        "add": lambda a, b: plus(a, b, unit),
        "sub": lambda a, b: plus(a, Bounded(-b.value, b.error), unit),
        "mul": mul,
        "div": div,
        "floordiv": lambda a, b: _whole(div(a, b)),
        "neg": lambda a: Bounded(-a.value, a.error),
        "abs": lambda a: Bounded(np.abs(a.value), a.error),
        "exp": smooth(np.exp, lambda x, e: np.exp(x + e)),
        "log": smooth(np.log, lambda x, e: 1 / np.maximum(x - e, 0.0)),
        "sqrt": smooth(np.sqrt, lambda x, e: 0.5 / np.sqrt(np.maximum(x - e, 0.0))),
        "sigmoid": smooth(numpy_namespace()["sigmoid"], lambda x, e: 0.25),
        "tanh": smooth(np.tanh, lambda x, e: 1.0),
        "atan": smooth(np.arctan, lambda x, e: 1.0),
        "minimum": lambda a, b: Bounded(np.minimum(a.value, b.value), np.maximum(a.error, b.error)),
        "maximum": lambda a, b: Bounded(np.maximum(a.value, b.value), np.maximum(a.error, b.error)),
        "greater": _greater,
        "where": _where,
        "nearest": _nearest,
        "graft": lambda value, *pairs: value,
    }


def _whole(x: Bounded) -> Bounded:
    """Off by nothing, unless a whole number lies within the bound."""
    value = np.floor(x.value)
    ends = (np.floor(x.value - x.error), np.floor(x.value + x.error))
    return Bounded(value, np.maximum(*(np.abs(end - value) for end in ends)))


def _greater(a: Bounded, b: Bounded) -> Bounded:
    slack = np.asarray(a.error + b.error)
    # Without any error an equality is a fact, and decides: the comparison is strict.
    return Bounded(a.value > b.value, (np.abs(a.value - b.value) <= slack) & (slack > 0))


def _where(condition: Bounded, a: Bounded, b: Bounded) -> Bounded:
    value = np.where(condition.value, a.value, b.value)
    error = np.where(condition.value, a.error, b.error)
    if np.any(condition.error):
        either = np.abs(a.value - b.value) + np.maximum(a.error, b.error)
        error = np.where(condition.error, either, error)
    return Bounded(value, error)


def _nearest(x: Bounded, table: Bounded) -> Bounded:
    """Off by nothing, unless the bound reaches another level's half of the way."""
    nearest = numpy_namespace()["nearest"]
    value, *ends = (nearest(each, table.value) for each in (x.value, x.value - x.error, x.value + x.error))
    return Bounded(value, np.maximum(*(np.abs(end - value) for end in ends)))
