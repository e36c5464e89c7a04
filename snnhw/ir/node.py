"""One node of an expression: its sorts, how equal nodes are shared, and what is simplified.

`snnhw.ir.expr` has the words that equations are written in; this is what they build.
"""

from __future__ import annotations

import math
import re
import struct
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn

from snnhw.errors import ExpressionError
from snnhw.ir.primitives import PRIMITIVES, Sort
from snnhw.words import brief

__all__ = ["NAME", "Expr", "Operand", "const", "intern", "make", "var"]

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


class Expr:
    """One node. Built by the functions of this module and by operators, never directly."""

    __slots__ = ("__weakref__", "args", "data", "op", "sort")
    op: str
    args: tuple[Expr, ...]
    data: float | str | None
    sort: Sort

    __array_ufunc__ = None  # NumPy's operators leave the work to these, and build no arrays of objects

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise ExpressionError(f"expressions are immutable; cannot set '{name}'")

    def __delattr__(self, name: str) -> NoReturn:
        raise ExpressionError(f"expressions are immutable; cannot delete '{name}'")

    def __add__(self, other: Operand) -> Expr:
        return make("add", self, other)

    def __radd__(self, other: Operand) -> Expr:
        return make("add", other, self)

    def __sub__(self, other: Operand) -> Expr:
        return make("sub", self, other)

    def __rsub__(self, other: Operand) -> Expr:
        return make("sub", other, self)

    def __mul__(self, other: Operand) -> Expr:
        return make("mul", self, other)

    def __rmul__(self, other: Operand) -> Expr:
        return make("mul", other, self)

    def __truediv__(self, other: Operand) -> Expr:
        return make("div", self, other)

    def __rtruediv__(self, other: Operand) -> Expr:
        return make("div", other, self)

    def __floordiv__(self, other: Operand) -> Expr:
        return make("floordiv", self, other)

    def __rfloordiv__(self, other: Operand) -> Expr:
        return make("floordiv", other, self)

    def __neg__(self) -> Expr:
        return make("neg", self)

    def __abs__(self) -> Expr:
        return make("abs", self)

    def __gt__(self, other: Operand) -> Expr:
        return make("greater", self, other)

    def __lt__(self, other: Operand) -> Expr:
        return make("greater", other, self)

    def __bool__(self) -> NoReturn:
        raise ExpressionError(
            "an expression has no truth value while it is being written; "
            "choose between values with where(condition, a, b)"
        )

    def __copy__(self) -> Expr:
        return self

    def __deepcopy__(self, memo: object) -> Expr:
        return self

    def __reduce__(self) -> tuple[Callable[..., Expr], tuple[object, ...]]:
        from snnhw.ir.text import dump, load_one  # text builds on this module

        return load_one, (dump([self]),)

    def __repr__(self) -> str:
        from snnhw.ir.text import infix

        return infix(self)


Operand = Expr | float | int

_TABLE: weakref.WeakValueDictionary[tuple[Any, ...], Expr] = weakref.WeakValueDictionary()
_LOCK = threading.RLock()  # reentrant: memory needed in it may start a collection, and so anyone's __del__


def intern(op: str, args: tuple[Expr, ...], data: float | str | None) -> Expr:
    """The one node with these parts, made when there is none yet; checks nothing."""
    # 0.0 and -0.0 are equal but not the same constant: numbers are told apart by their bits.
    token = struct.pack("<d", data) if isinstance(data, float) else data
    key = (op, token, *map(id, args))
    with _LOCK:
        found = _TABLE.get(key)
        if found is None:
            found = object.__new__(Expr)
            for name, value in zip(
                ("op", "args", "data", "sort"), (op, args, data, PRIMITIVES[op].result), strict=True
            ):
                object.__setattr__(found, name, value)
            _TABLE[key] = found
    return found


def const(value: float | int) -> Expr:
    """A finite number; rounded once, to the compute dtype, where it is used."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ExpressionError(f"a constant is an int or a float, not {brief(value)} ({type(value).__name__})")
    try:
        number = float(value)
    except OverflowError:
        raise ExpressionError("a constant must fit a float; this integer is too large") from None
    if not math.isfinite(number):
        raise ExpressionError(f"a constant must be finite, not {value!r}")
    return intern("const", (), number)


def var(name: str) -> Expr:
    """A state, port or parameter, by name (a letter or underscore, then at most 63 more)."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ExpressionError(
            f"{brief(name)} cannot name a variable; use a letter or underscore, then at most 63 letters, "
            "digits and underscores"
        )
    return intern("var", (), name)


def make(op: str, *operands: Operand, data: float | str | None = None) -> Expr:
    """Build one node: lift numbers, check sorts, fold constants, apply the licensed rewrites."""
    args = tuple(item if isinstance(item, Expr) else const(item) for item in operands)
    _check_sorts(op, args)
    if args and PRIMITIVES[op].fold and all(arg.op == "const" for arg in args):
        return _fold(op, [arg.data for arg in args])  # type: ignore[misc]  # constants carry floats
    simpler = _rewrite(op, args)
    return intern(op, args, data) if simpler is None else simpler


def _check_sorts(op: str, args: Sequence[Expr]) -> None:
    wanted = _wanted(op, len(args))
    if len(args) != len(wanted):
        raise ExpressionError(f"{op} takes {len(wanted)} operands, not {len(args)}")
    for position, (arg, sort) in enumerate(zip(args, wanted, strict=True)):
        if arg.sort != sort:
            hint = "compare with >" if sort == "bool" else "turn it into a number with where(c, 1.0, 0.0)"
            given = f"operand {position} of {op} is a {arg.sort}, not a {sort}"
            raise ExpressionError(f"{given}: {arg!r}; {hint}")


def _wanted(op: str, count: int) -> tuple[Sort, ...]:
    fixed = PRIMITIVES[op].args
    if fixed is not None:
        return fixed
    if count % 2 == 0:  # graft: a value, then pairs
        raise ExpressionError(f"{op} takes a value and pairs of operands, not {count} operands")
    real: Sort = "real"
    return (real,) * count


def _fold(op: str, values: list[float]) -> Expr:
    fold = PRIMITIVES[op].fold
    assert fold is not None
    try:
        return const(fold(*values))
    except (ArithmeticError, ValueError) as error:
        raise ExpressionError(f"{op}({', '.join(map(repr, values))}) has no finite value") from error


def _is(expr: Expr, value: float) -> bool:
    return expr.op == "const" and struct.pack("<d", expr.data) == struct.pack("<d", value)


def _rewrite(op: str, args: tuple[Expr, ...]) -> Expr | None:
    """The closed list of rewrites; any other would change bits, NaN or the sign of a zero."""
    if op == "mul" and _is(args[1], 1.0):
        return args[0]
    if op == "mul" and _is(args[0], 1.0):
        return args[1]
    if op == "div" and _is(args[1], 1.0):
        return args[0]
    if op == "sub" and _is(args[1], 0.0):
        return args[0]
    if op == "neg" and args[0].op == "neg":
        return args[0].args[0]
    return None
