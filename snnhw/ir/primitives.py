"""The whole language of expressions, one record for each primitive.

What is the same for everybody stands here: sorts, the value at constants, NumPy's function, how text writes
it, and whether integers are closed under it. What a reference, a gradient, a bound or a printer makes of a
primitive is theirs, on purpose: two statements of one rule are how a mistake in either is seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

__all__ = ["PRIMITIVES", "Primitive", "Sort"]

Sort = Literal["real", "bool"]


@dataclass(frozen=True)
class Primitive:
    """One operation.

    Attributes:
        args: sorts of its arguments; None: a variable number of reals.
        result: the sort of what it gives.
        fold: its value at constants, in float64; None: it is not folded.
        numpy: NumPy's function of that meaning; None: it depends on the compute dtype, or is no function.
        symbol: how it stands between its two arguments, and how tightly it binds; None: it is called by name.
        whole: of whole numbers it gives a whole number, and so has a meaning in a program of integers.
    """

    args: tuple[Sort, ...] | None
    result: Sort = "real"
    fold: Callable[..., float] | None = None
    numpy: Callable[..., Any] | None = None
    symbol: tuple[str, int] | None = None
    whole: bool = False


def _unary(fold: Callable[..., float] | None, numpy: Callable[..., Any] | None, **more: Any) -> Primitive:
    return Primitive(("real",), fold=fold, numpy=numpy, **more)


def _binary(fold: Callable[..., float], numpy: Callable[..., Any], **more: Any) -> Primitive:
    return Primitive(("real", "real"), fold=fold, numpy=numpy, **more)


def _logistic(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x))


def _floor_divide(a: Any, b: Any) -> Any:
    """Of floats, the quotient is rounded first, as everywhere."""
    if np.result_type(a, b).kind == "i":
        return np.floor_divide(a, b)
    return np.floor(np.divide(a, b))


def _nearest(x: Any, table: Any) -> Any:
    inside = np.clip(x, table.min(), table.max())
    return table[np.argmin(np.abs(np.asarray(inside)[..., None] - table), axis=-1)]


PRIMITIVES: Final[Mapping[str, Primitive]] = {
    "const": Primitive((), whole=True),
    "var": Primitive((), whole=True),
    "neg": _unary(lambda a: -a, np.negative, whole=True),
    "abs": _unary(abs, np.abs, whole=True),
    "exp": _unary(math.exp, np.exp),
    "log": _unary(math.log, np.log),
    "sqrt": _unary(math.sqrt, np.sqrt),
    "sigmoid": _unary(_logistic, None),
    "tanh": _unary(math.tanh, np.tanh),
    "atan": _unary(math.atan, np.arctan),
    "add": _binary(lambda a, b: a + b, np.add, symbol=("+", 1), whole=True),
    "sub": _binary(lambda a, b: a - b, np.subtract, symbol=("-", 1), whole=True),
    "mul": _binary(lambda a, b: a * b, np.multiply, symbol=("*", 2), whole=True),
    "div": _binary(lambda a, b: a / b, np.divide, symbol=("/", 2)),
    "floordiv": _binary(lambda a, b: float(math.floor(a / b)), _floor_divide, symbol=("//", 2), whole=True),
    "minimum": _binary(min, np.minimum, whole=True),
    "maximum": _binary(max, np.maximum, whole=True),
    "greater": Primitive(("real", "real"), "bool", numpy=np.greater, whole=True),
    "where": Primitive(("bool", "real", "real"), numpy=np.where, whole=True),
    "nearest": Primitive(("real",), numpy=_nearest),
    "graft": Primitive(None, numpy=lambda value, *pairs: value, whole=True),
}
"""Name -> record. ``const`` carries a number, ``var`` a name, ``nearest`` the name of a table; ``graft``
takes ``value, x1, d1, x2, d2, ...``; ``floordiv`` is the largest whole number up to ``a / b``."""
