"""Expressions from text: equations as one writes them down.

The text is Python's own notation, taken apart by Python's own parser and never run: numbers, names,
``+ - * / //``, ``**`` with a small whole number, ``>`` and ``<``, ``a if c else b``, and the functions of
`FUNCTIONS`. Anything else is refused by name.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from snnhw.errors import ExpressionError
from snnhw.ir import expr
from snnhw.ir.expr import Expr, const, greater, var, where
from snnhw.words import brief, did_you_mean

__all__ = ["FUNCTIONS", "MAX_TEXT", "parse"]

MAX_TEXT: Final = 4096
MAX_POWER: Final = 8


def _clamp(x: Expr, low: Expr, high: Expr) -> Expr:
    bounds = (low.data, high.data)
    if not all(isinstance(bound, float) for bound in bounds):
        raise ExpressionError("clamp(x, low, high) takes numbers as its bounds")
    return expr.clamp(x, *bounds)  # type: ignore[arg-type]  # checked above


FUNCTIONS: Final[Mapping[str, Callable[..., Expr]]] = {
    "abs": expr.abs_,
    "atan": expr.atan,
    "clamp": _clamp,
    "exp": expr.exp,
    "floor": expr.floor,
    "heaviside": expr.heaviside,
    "log": expr.log,
    "max": expr.maximum,
    "maximum": expr.maximum,
    "min": expr.minimum,
    "minimum": expr.minimum,
    "sigmoid": expr.sigmoid,
    "sqrt": expr.sqrt,
    "stop_gradient": expr.stop_gradient,
    "tanh": expr.tanh,
    "where": where,
}
"""What equations may call."""

_BINARY: Final[Mapping[type[ast.operator], Callable[[Expr, Expr], Expr]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}


def parse(text: str) -> Expr:
    """``"beta * mem + x"`` as an expression; the order of operations is the one written.

    Raises:
        ExpressionError: the text is not in the notation above; shows the part that is not.
    """
    if not isinstance(text, str) or len(text) > MAX_TEXT:
        raise ExpressionError(f"an equation is text of at most {MAX_TEXT} characters, not {brief(text)}")
    try:
        return _read(ast.parse(text.strip(), mode="eval").body)
    except SyntaxError as error:
        raise ExpressionError(
            f"{brief(text)} cannot be read: {error.msg} at character {error.offset}"
        ) from None
    except (RecursionError, MemoryError, ValueError) as error:  # an ExpressionError is a ValueError
        reason = str(error) if isinstance(error, ExpressionError) else "it is nested too deeply"
        raise ExpressionError(f"{brief(text)} cannot be read: {reason}") from None


def _read(node: ast.expr) -> Expr:
    reader = _READERS.get(type(node))
    if reader is None:
        raise ExpressionError(
            f"`{ast.unparse(node)}` is no part of an equation; use numbers, names, + - * / // ** > <, "
            f"`a if c else b` and {', '.join(FUNCTIONS)}"
        )
    return reader(node)


def _binary(node: ast.BinOp) -> Expr:
    if isinstance(node.op, ast.Pow):
        return _power(node)
    combine = _BINARY.get(type(node.op))
    if combine is None:
        raise ExpressionError(f"`{ast.unparse(node)}`: the operators are + - * / // and **")
    return combine(_read(node.left), _read(node.right))


def _power(node: ast.BinOp) -> Expr:
    times = node.right.value if isinstance(node.right, ast.Constant) else None
    if type(times) is not int or not 1 <= times <= MAX_POWER:
        raise ExpressionError(f"`{ast.unparse(node)}`: a power is a whole number from 1 to {MAX_POWER}")
    base = _read(node.left)
    found = base
    for _ in range(times - 1):
        found = found * base
    return found


def _unary(node: ast.UnaryOp) -> Expr:
    if not isinstance(node.op, (ast.USub, ast.UAdd)):
        raise ExpressionError(f"`{ast.unparse(node)}`: before a value stands + or -")
    value = _read(node.operand)
    return -value if isinstance(node.op, ast.USub) else value


def _compare(node: ast.Compare) -> Expr:
    if len(node.ops) != 1 or not isinstance(node.ops[0], (ast.Gt, ast.Lt)):
        raise ExpressionError(f"`{ast.unparse(node)}`: compare two values, with > or <, which are strict")
    left, right = _read(node.left), _read(node.comparators[0])
    return greater(left, right) if isinstance(node.ops[0], ast.Gt) else greater(right, left)


def _call(node: ast.Call) -> Expr:
    name = node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func)
    if name not in FUNCTIONS:
        known = ", ".join(FUNCTIONS)
        raise ExpressionError(f"there is no function '{name}'.{did_you_mean(name, FUNCTIONS)} Known: {known}")
    if node.keywords:
        raise ExpressionError(f"`{ast.unparse(node)}`: give the arguments in order, without names")
    try:
        return FUNCTIONS[name](*map(_read, node.args))
    except TypeError:
        raise ExpressionError(
            f"`{ast.unparse(node)}`: {name} does not take {len(node.args)} arguments"
        ) from None


def _number(node: ast.Constant) -> Expr:
    return const(node.value)  # type: ignore[arg-type]  # refuses all that is no number


_READERS: Final[Mapping[type[ast.expr], Callable[[Any], Expr]]] = {
    ast.BinOp: _binary,
    ast.Call: _call,
    ast.Compare: _compare,
    ast.Constant: _number,
    ast.IfExp: lambda node: where(_read(node.test), _read(node.body), _read(node.orelse)),
    ast.Name: lambda node: var(node.id),
    ast.UnaryOp: _unary,
}
"""Part of the notation -> how it is read."""
