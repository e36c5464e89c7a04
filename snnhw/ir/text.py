"""Expressions as text: one line for people, a flat list for files.

The flat form lists nodes, arguments before users, as ``[op, argument indices..., data]``; constants
are hexadecimal floats, so that nothing is lost. Reading it is safe on hostile input: bounded,
iterative, and ending in one error type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from snnhw.errors import ExpressionError
from snnhw.ir.expr import PRIMITIVES, Expr, const, make, nearest, topological, var
from snnhw.words import brief

__all__ = ["MAX_NODES", "dump", "infix", "load", "load_one"]

MAX_NODES: Final = 4096
"""Most operations that one node's equations may have."""

_INFIX_LIMIT: Final = 60  # beyond this a tree no longer fits a line, and shared nodes would repeat

_HEX: Final = re.compile(r"-?0x[01]\.[0-9a-f]{1,13}p[+-][0-9]{1,4}")


def dump(roots: Sequence[Expr]) -> list[list[Any]]:
    """Every node under the roots, then one ``["root", index]`` for each root."""
    order = topological(roots)
    index = {node: position for position, node in enumerate(order)}
    lines = [_dump_node(node, index) for node in order]
    return [*lines, *(["root", index[root]] for root in roots)]


def _dump_node(node: Expr, index: Mapping[Expr, int]) -> list[Any]:
    if isinstance(node.data, float):
        return [node.op, node.data.hex()]
    data = [] if node.data is None else [node.data]
    return [node.op, *(index[arg] for arg in node.args), *data]


def load(lines: Any, limit: int = MAX_NODES) -> list[Expr]:
    """Read what `dump` wrote, at most ``limit`` lines.

    Raises:
        ExpressionError: naming the line, for anything that `dump` could not have written.
    """
    if not isinstance(lines, list) or len(lines) > limit:
        raise ExpressionError(f"expressions are a list of at most {limit} lines")
    nodes: list[Expr] = []
    roots: list[Expr] = []
    for number, line in enumerate(lines):
        try:
            op, *rest = line
            if op == "root":
                (index,) = rest
                roots.append(_reference(index, nodes))
            else:
                nodes.append(_load_node(op, rest, nodes))
        except (TypeError, ValueError, OverflowError) as error:  # an ExpressionError is a ValueError
            raise ExpressionError(f"expression line {number} is not readable: {error}") from None
    return roots


def load_one(lines: list[Any]) -> Expr:
    """Read a list that holds one root, of any length: for what this process or its peers wrote."""
    (root,) = load(lines, limit=len(lines))
    return root


def _load_node(op: Any, rest: list[Any], nodes: list[Expr]) -> Expr:
    if not isinstance(op, str) or op not in PRIMITIVES:
        raise ExpressionError(f"unknown op {brief(op)}; known: {', '.join(PRIMITIVES)}")
    if op == "const":
        (text,) = rest
        if not isinstance(text, str) or not _HEX.fullmatch(text):
            raise ExpressionError(f"{brief(text)} is not a hexadecimal float")
        return const(float.fromhex(text))
    if op == "var":
        (name,) = rest
        return var(name)
    if op == "nearest":
        argument, table = rest
        return nearest(_reference(argument, nodes), table)
    return make(op, *(_reference(item, nodes) for item in rest))


def _reference(item: Any, nodes: list[Expr]) -> Expr:
    if type(item) is not int or not 0 <= item < len(nodes):
        raise ExpressionError(f"{brief(item)} does not refer to an earlier line")
    return nodes[item]


def infix(root: Expr) -> str:
    """The expression as one would write it; a large one only by its size."""
    order = topological([root])
    if len(order) > _INFIX_LIMIT:
        return f"<expression of {len(order)} nodes>"
    done: dict[Expr, tuple[str, int]] = {}  # text and how tightly it binds
    for node in order:
        done[node] = _write(node, [done[arg] for arg in node.args])
        if len(done[node][0]) > 4096:
            return f"<expression of {len(order)} nodes>"
    return done[root][0]


def _write(node: Expr, args: list[tuple[str, int]]) -> tuple[str, int]:
    if node.op == "const":
        return f"{node.data:.12g}", 4
    if node.op == "var":
        return str(node.data), 4
    symbol = PRIMITIVES[node.op].symbol
    if symbol is not None:
        sign, level = symbol
        left, right = _bracket(args[0], level), _bracket(args[1], level + 1)
        return f"{left} {sign} {right}", level
    if node.op == "neg":
        return f"-{_bracket(args[0], 3)}", 3
    if node.op == "greater":
        return f"{_bracket(args[0], 1)} > {_bracket(args[1], 1)}", 0
    inside = [text for text, _ in args] + ([str(node.data)] if node.data else [])
    return f"{node.op}({', '.join(inside)})", 4


def _bracket(part: tuple[str, int], level: int) -> str:
    text, binding = part
    return text if binding >= level else f"({text})"
