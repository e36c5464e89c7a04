"""Numbers that refuse to be rounded.

A `Dyadic` lies on a grid of powers of two and knows a bound on the sum of the absolute values of all
terms it was made from. While that bound stays below 2^24 units of the grid, float32 holds the number
and every partial sum of its terms, in whatever order they are added and whether or not products are
fused with sums: the result cannot depend on either. Any operation for which that cannot be said raises
`NotExact`. NumPy computes with arrays of them as with arrays of any other object.
"""

from __future__ import annotations

from math import frexp, isfinite, ldexp
from typing import Final, NoReturn

__all__ = ["PRECISION", "Dyadic", "NotExact"]

PRECISION: Final = 24
"""Bits of a float32's significand."""

LEAST: Final = -126
"""Exponent of the smallest float32 that is not subnormal."""

NOWHERE: Final = 1 << 20
"""The grid of zero, which lies on every one."""


class NotExact(ArithmeticError):
    """An operation whose result may depend on order, contraction or rounding."""


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

    def __add__(self, other: object) -> Dyadic:
        that = other if isinstance(other, Dyadic) else Dyadic.of(other)
        return self._with(that, self.value + that.value, self.bound + that.bound, min(self.grid, that.grid))

    def __mul__(self, other: object) -> Dyadic:
        that = other if isinstance(other, Dyadic) else Dyadic.of(other)
        return self._with(that, self.value * that.value, self.bound * that.bound, self.grid + that.grid)

    def __truediv__(self, other: object) -> Dyadic:
        that = Dyadic.of(other)
        fraction, exponent = frexp(that.value)
        if abs(fraction) != 0.5 or that.bound != abs(that.value):
            raise NotExact(f"division by {that.value:g}, which is no power of two")
        size = abs(that.value)
        return self._with(that, self.value / that.value, self.bound / size, self.grid - (exponent - 1))

    def __neg__(self) -> Dyadic:
        return Dyadic(-self.value, self.bound, self.grid, self.largest, self.finest)

    def __abs__(self) -> Dyadic:
        return -self if self.value < 0 else self

    def __sub__(self, other: object) -> Dyadic:
        return self + -Dyadic.of(other)

    def __rsub__(self, other: object) -> Dyadic:
        return Dyadic.of(other) - self

    def __rtruediv__(self, other: object) -> Dyadic:
        return Dyadic.of(other) / self

    __radd__, __rmul__ = __add__, __mul__

    def __lt__(self, other: object) -> bool:
        return self.value < float(other)  # type: ignore[arg-type]  # likewise

    def __gt__(self, other: object) -> bool:
        return self.value > float(other)  # type: ignore[arg-type]

    def __le__(self, other: object) -> bool:
        return self.value <= float(other)  # type: ignore[arg-type]

    def __ge__(self, other: object) -> bool:
        return self.value >= float(other)  # type: ignore[arg-type]

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
