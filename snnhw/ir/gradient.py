"""Symbolic reverse mode: derivatives of expressions, as expressions.

The forms and the order of sums are fixed, because another form or order gives other bits: an adjoint
is its seed, then what flows in from its users, last user first. ``a / b`` gives ``-(g * ((a / b) / b))``
to b, sigmoid ``(g * (1 - y)) * y``, tanh ``g * (1 - y * y)``; ties of minimum and maximum go to the
second operand; ``abs`` has slope 0 at 0; `graft` has the slopes it was given, ``nearest`` slope 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from snnhw.ir.expr import Expr, const, greater, topological, where

__all__ = ["gradient"]

Contribution = tuple[Expr, Expr]  # (argument, what flows into it)


def gradient(outputs: Sequence[Expr], seeds: Sequence[Expr], wrt: Sequence[Expr]) -> list[Expr]:
    """The derivative of ``sum(seed * output)`` to each expression of ``wrt``.

    Args:
        outputs: real expressions; one may stand several times, its seeds then add in order.
        seeds: as many adjoints.
        wrt: expressions that stand under the outputs; those that do not get the constant 0.
    """
    adjoints: dict[Expr, Expr] = {}

    def flow(node: Expr, amount: Expr) -> None:
        if not _is_zero(amount):
            adjoints[node] = adjoints[node] + amount if node in adjoints else amount

    for output, seed in zip(outputs, seeds, strict=True):
        flow(output, seed)
    for node in reversed(topological(outputs)):
        if node in adjoints and node.op in _RULES:
            for arg, amount in _RULES[node.op](node, adjoints[node]):
                flow(arg, amount)
    return [adjoints.get(target, const(0.0)) for target in wrt]


def _is_zero(expr: Expr) -> bool:
    return expr.op == "const" and expr.data == 0.0


def _add(node: Expr, g: Expr) -> list[Contribution]:
    a, b = node.args
    return [(a, g), (b, g)]


def _sub(node: Expr, g: Expr) -> list[Contribution]:
    a, b = node.args
    return [(a, g), (b, -g)]


def _mul(node: Expr, g: Expr) -> list[Contribution]:
    a, b = node.args
    return [(a, g * b), (b, g * a)]


def _div(node: Expr, g: Expr) -> list[Contribution]:
    a, b = node.args
    return [(a, g / b), (b, -(g * (node / b)))]


def _abs(node: Expr, g: Expr) -> list[Contribution]:
    (x,) = node.args
    return [(x, where(greater(x, 0.0), g, where(greater(0.0, x), -g, 0.0)))]


def _minimum(node: Expr, g: Expr) -> list[Contribution]:
    a, b = node.args
    first = greater(b, a)
    return [(a, where(first, g, 0.0)), (b, where(first, 0.0, g))]


def _maximum(node: Expr, g: Expr) -> list[Contribution]:
    a, b = node.args
    first = greater(a, b)
    return [(a, where(first, g, 0.0)), (b, where(first, 0.0, g))]


def _where(node: Expr, g: Expr) -> list[Contribution]:
    condition, a, b = node.args
    return [(a, where(condition, g, 0.0)), (b, where(condition, 0.0, g))]


def _graft(node: Expr, g: Expr) -> list[Contribution]:
    pairs = node.args[1:]
    return [(x, g * d) for x, d in zip(pairs[::2], pairs[1::2], strict=True)]


_RULES: Final[Mapping[str, Callable[[Expr, Expr], list[Contribution]]]] = {
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "div": _div,
    "neg": lambda node, g: [(node.args[0], -g)],
    "abs": _abs,
    "exp": lambda node, g: [(node.args[0], g * node)],
    "log": lambda node, g: [(node.args[0], g / node.args[0])],
    "sqrt": lambda node, g: [(node.args[0], g / (2.0 * node))],
    "sigmoid": lambda node, g: [(node.args[0], (g * (1.0 - node)) * node)],
    "tanh": lambda node, g: [(node.args[0], g * (1.0 - node * node))],
    "atan": lambda node, g: [(node.args[0], g / (node.args[0] * node.args[0] + 1.0))],
    "minimum": _minimum,
    "maximum": _maximum,
    "where": _where,
    "nearest": lambda node, g: [(node.args[0], g)],
    "graft": _graft,
}
"""Op -> what flows into its arguments. ``const var floordiv greater`` have no rule, and pass nothing on."""
