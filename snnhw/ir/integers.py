"""Words for the arithmetic of chips, each made of a few primitives: of whole numbers they give whole numbers.

They are expressions like any other, so that one equation has a meaning in floats, with the gradients of what
it is made of, and in integers of 64 bits, where every operation is exact.
"""

from __future__ import annotations

from snnhw.errors import ExpressionError
from snnhw.ir.expr import Expr, Operand, maximum, minimum, where
from snnhw.words import brief

__all__ = ["saturate", "shift_right", "toward_zero", "wrap"]

MOST = 52
"""Bits of a constant that a float64 holds exactly, with room for the sum of two."""


def _power(bits: int) -> float:
    if type(bits) is not int or not 0 <= bits <= MOST:
        raise ExpressionError(f"bits are a whole number from 0 to {MOST}, not {brief(bits)}")
    return 2.0**bits


def shift_right(x: Expr, bits: int) -> Expr:
    """``x >> bits``: the largest whole number up to ``x / 2**bits``, so that -1 stays -1."""
    return x // _power(bits)


def toward_zero(x: Expr, divisor: Operand) -> Expr:
    """``x / divisor`` without its fraction, for a divisor above 0: -7 by 2 is -3."""
    size = abs(x) // divisor
    return where(x < 0.0, -size, size)


def saturate(x: Expr, bits: int) -> Expr:
    """x kept within what ``bits`` bits hold in two's complement."""
    half = _power(bits - 1)
    return minimum(maximum(x, -half), half - 1.0)


def wrap(x: Expr, bits: int) -> Expr:
    """The lowest ``bits`` bits of x in two's complement: 2**(bits - 1) becomes its negative."""
    half, whole = _power(bits - 1), _power(bits)
    return x - whole * ((x + half) // whole)
