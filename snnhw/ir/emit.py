"""Printing expressions as statements of a target language.

Every operation becomes one statement, in the order of the tree, so that the target rounds once where
the language does. Names in the output are the emitter's own, numbered by place, and constants are
handed to the target as numbers: nothing that a user wrote is ever printed into code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from snnhw.ir.expr import Expr

__all__ = ["Emitted", "Target", "emit", "read"]


@dataclass(frozen=True)
class Target:
    """A language to print in.

    Attributes:
        ops: op -> template of its value, with ``{0}``, ``{1}``, ... for the operands; ``nearest`` has
            the table as ``{1}``.
        constant: a number -> how it is written at the compute dtype.
        statement: template of an assignment, with ``{name}`` and ``{value}``.
    """

    ops: Mapping[str, str]
    constant: Callable[[float], str]
    statement: str = "{name} = {value}"


class Emitted(NamedTuple):
    """Statements, and the text that stands for each root after them."""

    lines: list[str]
    roots: list[str]


def emit(roots: Sequence[Expr], names: Mapping[str, str], target: Target, prefix: str = "e") -> Emitted:
    """Print the values of expressions.

    Args:
        names: variable or table -> what it is called in the code. Only the kernel's own names, such
            as ``s0``, may stand here.
        prefix: of the names given to intermediate values.
    """
    lines: list[str] = []
    texts: dict[Expr, str] = {}
    for node in _values(roots):
        if isinstance(node.data, float):
            texts[node] = target.constant(node.data)
        elif node.op == "var":
            texts[node] = names[str(node.data)]
        elif node.op == "graft":
            texts[node] = texts[node.args[0]]
        else:
            operands = [texts[arg] for arg in node.args]
            if node.op == "nearest":
                operands.append(names[str(node.data)])
            texts[node] = f"{prefix}{len(lines)}"
            lines.append(
                target.statement.format(name=texts[node], value=target.ops[node.op].format(*operands))
            )
    return Emitted(lines, [texts[root] for root in roots])


def read(roots: Sequence[Expr]) -> frozenset[str]:
    """The variables that the values of expressions need; tables apart."""
    return frozenset(str(node.data) for node in _values(roots) if node.op == "var")


def _values(roots: Sequence[Expr]) -> list[Expr]:
    """What the values of the roots need, arguments first: of a graft, its value but no derivative."""
    order: list[Expr] = []
    seen: set[Expr] = set()
    stack: list[tuple[Expr, bool]] = [(root, False) for root in reversed(roots)]
    while stack:
        node, ready = stack.pop()
        if ready:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            needed = node.args[:1] if node.op == "graft" else node.args
            stack.append((node, True))
            stack.extend((arg, False) for arg in reversed(needed) if arg not in seen)
    return order
