"""Numbers that refuse to be rounded.

A `Dyadic` lies on a grid of powers of two and knows a bound on the sum of the absolute values of all
terms it was made from. While that bound stays below 2^24 units of the grid, float32 holds the number
and every partial sum of its terms, in whatever order they are added and whether or not products are
fused with sums: the result cannot depend on either. Any operation for which that cannot be said raises
`NotExact`. NumPy computes with arrays of them as with arrays of any other object.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from math import frexp, isfinite, ldexp
from typing import Any, Final, NoReturn, TypeVar

import numpy as np

__all__ = ["PRECISION", "Dyadic", "NotExact"]

PRECISION: Final = 24
"""Bits of a float32's significand."""

LEAST: Final = -126
"""Exponent of the smallest float32 that is not subnormal."""

NOWHERE: Final = 1 << 20
"""The grid of zero, which lies on every one."""


class NotExact(ArithmeticError):
    """An operation whose result may depend on order, contraction or rounding."""


R = TypeVar("R")


def _with_numbers(operation: Callable[[Dyadic, Dyadic], R]) -> Callable[[Dyadic, object], R]:
    """An operation with any number. With an array of them NumPy knows better: that is left to it."""

    def lifted(self: Dyadic, other: object) -> R:
        if isinstance(other, np.ndarray):
            return NotImplemented  # type: ignore[no-any-return]  # Python then asks the array
        return operation(self, other if isinstance(other, Dyadic) else Dyadic.of(other))

    return lifted


def _comparison(decide: Callable[[float, float], bool]) -> Callable[[Dyadic, object], bool]:
    """A comparison with any number, also with one on no grid, such as infinity."""

    def compare(self: Dyadic, other: Any) -> bool:
        if isinstance(other, np.ndarray):
            return NotImplemented  # type: ignore[no-any-return]  # likewise
        return decide(self.value, float(other))

    return compare


class Dyadic:
    """One number.

    Attributes:
        value: the number itself; float64 holds it, and everything below, exactly.
        bound: at least the sum of the absolute values of its terms.
        grid: every term is a multiple of ``2 ** grid``.
        largest: the largest ``bound``, in units of its grid, among all it was made from.
        finest: the smallest ``grid`` among all it was made from.
    """

    __slots__ = ("bound", "finest", "grid", "largest", "value")
    shape = ()  # as NumPy's own scalars have it
    __hash__ = None  # type: ignore[assignment]  # compares by value, and is never a key

    def __init__(
        self, value: float, bound: float, grid: int, largest: float = 0.0, finest: int = NOWHERE
    ) -> None:
        if not bound:
            grid = NOWHERE
        else:
            units = ldexp(bound, -grid)
            if units >= 2.0**PRECISION or grid < LEAST:
                raise NotExact(
                    f"a sum of up to {bound:g} on a grid of 2^{grid} needs more than {PRECISION} bits"
                )
            largest = max(largest, units)
        self.value, self.bound, self.grid = value, bound, grid
        self.largest, self.finest = largest, min(finest, grid)

    @classmethod
    def of(cls, number: object) -> Dyadic:
        """A number as it is given: one term."""
        if isinstance(number, Dyadic):
            return number
        value = float(number)  # type: ignore[arg-type]  # raises for what is no number
        if not isfinite(value):
            raise NotExact(f"{value} is on no grid")
        return cls(value, abs(value), _lowest_bit(value))

    def _with(self, that: Dyadic, value: float, bound: float, grid: int) -> Dyadic:
        """What comes of two numbers."""
        return Dyadic(value, bound, grid, max(self.largest, that.largest), min(self.finest, that.finest))

    @_with_numbers
    def __add__(self, that: Dyadic) -> Dyadic:
        return self._with(that, self.value + that.value, self.bound + that.bound, min(self.grid, that.grid))

    @_with_numbers
    def __mul__(self, that: Dyadic) -> Dyadic:
        return self._with(that, self.value * that.value, self.bound * that.bound, self.grid + that.grid)

    @_with_numbers
    def __truediv__(self, that: Dyadic) -> Dyadic:
        fraction, exponent = frexp(that.value)
        if abs(fraction) != 0.5 or that.bound != abs(that.value):
            raise NotExact(f"division by {that.value:g}, which is no power of two")
        size = abs(that.value)
        return self._with(that, self.value / that.value, self.bound / size, self.grid - (exponent - 1))

    @_with_numbers
    def __sub__(self, that: Dyadic) -> Dyadic:
        return self + -that

    @_with_numbers
    def __rsub__(self, that: Dyadic) -> Dyadic:
        return that - self

    @_with_numbers
    def __rtruediv__(self, that: Dyadic) -> Dyadic:
        return that / self

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> Dyadic:
        return Dyadic(-self.value, self.bound, self.grid, self.largest, self.finest)

    def __abs__(self) -> Dyadic:
        return -self if self.value < 0 else self

    __lt__, __le__ = _comparison(operator.lt), _comparison(operator.le)
    __gt__, __ge__ = _comparison(operator.gt), _comparison(operator.ge)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (Dyadic, float, int)) and self.value == float(other)

    def __float__(self) -> float:
        return self.value

    def _rounds(self) -> NoReturn:
        raise NotExact("its value has no finite number of digits")

    exp = log = sqrt = tanh = arctan = _rounds  # what NumPy calls on objects


def _lowest_bit(value: float) -> int:
    """The largest g such that ``value`` is a multiple of 2^g."""
    numerator, denominator = value.as_integer_ratio()
    if not numerator:
        return NOWHERE
    return (numerator & -numerator).bit_length() - denominator.bit_length()
