"""The language's operations on the tape: values in the compute dtype, derivatives as the language
defines them.

The derivatives stand here in full, although `snnhw.ir.gradient` knows them too: two statements of one
rule are how a mistake in either is seen. The forms are fixed, because another form gives other bits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from snnhw.ir import Namespace
from snnhw.reference.tape import Array, Flow, Var, constant, result

__all__ = ["add", "div", "mul", "namespace", "sqrt", "sub"]


def namespace(dtype: DTypeLike = np.float64) -> Namespace:
    """What `snnhw.ir.evaluate` needs to run an expression on the tape, at one compute dtype."""
    return {"const": lambda value: constant(np.asarray(value, dtype)), **_FUNCTIONS}


def add(a: Var, b: Var) -> Var:
    """``a + b``."""
    return result(a.value + b.value, (a, lambda g: g), (b, lambda g: g))


def sub(a: Var, b: Var) -> Var:
    """``a - b``."""
    return result(a.value - b.value, (a, lambda g: g), (b, lambda g: -g))


def mul(a: Var, b: Var) -> Var:
    """``a * b``."""
    x, y = a.value, b.value
    return result(x * y, (a, lambda g: g * y), (b, lambda g: g * x))


def div(a: Var, b: Var) -> Var:
    """``a / b``; in the gradient to ``b`` the quotient is used again."""
    y = b.value
    quotient = a.value / y
    return result(quotient, (a, lambda g: g / y), (b, lambda g: -(g * (quotient / y))))


def _floordiv(a: Var, b: Var) -> Var:
    """The largest whole number up to ``a / b``: of integers exactly, of floats as the quotient is rounded."""
    x, y = a.value, b.value
    return constant(x // y if np.result_type(x, y).kind == "i" else np.floor(x / y))


def _neg(a: Var) -> Var:
    return result(-a.value, (a, lambda g: -g))


def _abs(a: Var) -> Var:
    """At 0 the slope is 0."""
    x = a.value
    return result(np.abs(x), (a, lambda g: np.where(x > 0, g, np.where(x < 0, -g, 0))))


def _exp(a: Var) -> Var:
    y = np.exp(a.value)
    return result(y, (a, lambda g: g * y))


def _log(a: Var) -> Var:
    x = a.value
    return result(np.log(x), (a, lambda g: g / x))


def sqrt(a: Var) -> Var:
    """The square root of ``a``."""
    y = np.sqrt(a.value)
    return result(y, (a, lambda g: g / (2 * y)))


def _sigmoid(a: Var) -> Var:
    x = a.value
    small = np.exp(-np.abs(x))  # at most 1: nothing overflows on either side
    y = np.where(x >= 0, 1, small) / (1 + small)
    return result(y, (a, lambda g: (g * (1 - y)) * y))


def _tanh(a: Var) -> Var:
    y = np.tanh(a.value)
    return result(y, (a, lambda g: g * (1 - y * y)))


def _atan(a: Var) -> Var:
    x = a.value
    return result(np.arctan(x), (a, lambda g: g / (x * x + 1)))


def _minimum(a: Var, b: Var) -> Var:
    """At a tie the gradient goes to ``b``."""
    return _choice(np.minimum(a.value, b.value), a.value < b.value, a, b)


def _maximum(a: Var, b: Var) -> Var:
    """At a tie the gradient goes to ``b``."""
    return _choice(np.maximum(a.value, b.value), a.value > b.value, a, b)


def _where(condition: Var, a: Var, b: Var) -> Var:
    return _choice(np.where(condition.value, a.value, b.value), condition.value, a, b)


def _choice(value: Array, first: Array, a: Var, b: Var) -> Var:
    """``value``, whose gradient goes to ``a`` where ``first`` holds, and to ``b`` elsewhere."""
    return result(value, (a, lambda g: np.where(first, g, 0)), (b, lambda g: np.where(first, 0, g)))


def _greater(a: Var, b: Var) -> Var:
    return constant(a.value > b.value)


def _nearest(a: Var, table: Var) -> Var:
    """The level with the smallest rounded distance; the lower index at a tie; slope 1.

    Beyond the levels it is the last one, whatever distances round to.
    """
    levels = table.value
    inside = np.minimum(np.maximum(a.value, levels.min()), levels.max())
    distance = np.abs(inside[..., None] - levels)
    return result(levels[distance.argmin(axis=-1)], (a, lambda g: g))


def _graft(value: Var, *pairs: Var) -> Var:
    """``value``; ``g * d`` flows to each x, and d itself is a constant."""
    shape = np.broadcast_shapes(value.shape, *(part.shape for part in pairs))
    flows = [(x, _times(d.value)) for x, d in zip(pairs[::2], pairs[1::2], strict=True)]
    return result(np.broadcast_to(value.value, shape), *flows)


def _times(factor: Array) -> Flow:
    return lambda g: g * factor


_FUNCTIONS: Namespace = {
    "add": add,
    "sub": sub,
    "mul": mul,
    "div": div,
    "floordiv": _floordiv,
    "neg": _neg,
    "abs": _abs,
    "exp": _exp,
    "log": _log,
    "sqrt": sqrt,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "atan": _atan,
    "minimum": _minimum,
    "maximum": _maximum,
    "where": _where,
    "greater": _greater,
    "nearest": _nearest,
    "graft": _graft,
}
"""Every primitive except ``const``, which depends on the dtype, and ``var``, which is looked up."""
