"""Scalar expressions: what every neuron, surrogate and pointwise op is written in.

An expression is an immutable tree over two sorts, real and bool, with equal subtrees shared
(*hash-consed*), so that ``is`` decides equality. It has no shape, no dtype and no device. The tree
*is* the order of operations, each rounded once to the compute dtype; the only rewrites are a closed
list of which none changes a bit (`snnhw.ir.node`). Constants are folded in float64 as written.

Three things are done with an expression, and nothing else: `snnhw.ir.evaluate`,
`snnhw.ir.gradient` and `snnhw.ir.emit`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from snnhw.ir.node import NAME, Expr, Operand, const, make, var
from snnhw.ir.primitives import PRIMITIVES, Primitive, Sort

__all__ = [
    "NAME",
    "PRIMITIVES",
    "Expr",
    "Operand",
    "Primitive",
    "Sort",
    "abs_",
    "atan",
    "clamp",
    "const",
    "count_nodes",
    "exp",
    "floor",
    "free_variables",
    "graft",
    "greater",
    "heaviside",
    "log",
    "make",
    "maximum",
    "minimum",
    "nearest",
    "replace",
    "sigmoid",
    "sqrt",
    "stop_gradient",
    "substitute",
    "tables",
    "tanh",
    "topological",
    "var",
    "variables",
    "where",
]


def variables(names: str) -> tuple[Expr, ...]:
    """Several variables at once: ``mem, x = variables("mem x")``."""
    return tuple(var(name) for name in names.split())


def exp(x: Operand) -> Expr:
    """e to the power x."""
    return make("exp", x)


def log(x: Operand) -> Expr:
    """The natural logarithm; keep x positive, also under a `where` that does not choose it."""
    return make("log", x)


def sqrt(x: Operand) -> Expr:
    """The square root; its derivative at 0 is infinite."""
    return make("sqrt", x)


def sigmoid(x: Operand) -> Expr:
    """``1 / (1 + exp(-x))``, without overflow at either end."""
    return make("sigmoid", x)


def tanh(x: Operand) -> Expr:
    """The hyperbolic tangent."""
    return make("tanh", x)


def atan(x: Operand) -> Expr:
    """The inverse tangent, in radians."""
    return make("atan", x)


def abs_(x: Operand) -> Expr:
    """``|x|``; its derivative at 0 is 0."""
    return make("abs", x)


def minimum(a: Operand, b: Operand) -> Expr:
    """The smaller; at a tie the gradient goes to ``b``."""
    return make("minimum", a, b)


def maximum(a: Operand, b: Operand) -> Expr:
    """The larger; at a tie the gradient goes to ``b``, so that ``maximum(x, 0)`` has slope 0 at 0."""
    return make("maximum", a, b)


def floor(x: Operand) -> Expr:
    """The largest whole number up to x; no gradient."""
    return make("floordiv", x, 1.0)


def greater(a: Operand, b: Operand) -> Expr:
    """``a > b``, strictly: at equality it is false. A bool."""
    return make("greater", a, b)


def where(condition: Expr, a: Operand, b: Operand) -> Expr:
    """``a`` where the condition holds, else ``b``. Both are evaluated: guard arguments, not results."""
    return make("where", condition, a, b)


def nearest(x: Operand, table: str) -> Expr:
    """The level of the buffer ``table`` nearest to x (the lower index at a tie); gradient 1 to x.

    Where x lies beyond the levels, it is the last one on that side: far away all distances round to one
    number, so that the lowest index would win (as it does in snnTorch 1.0).
    """
    var(table)  # same rule for names
    return make("nearest", x, data=table)


def graft(value: Operand, derivatives: Mapping[Expr, Operand]) -> Expr:
    """``value``, whose derivative to each key is what is given here, and to all else is nothing."""
    parts: list[Operand] = [value]
    for x, derivative in derivatives.items():
        parts += [x, derivative]
    return make("graft", *parts)


def stop_gradient(x: Operand) -> Expr:
    """x as a constant to `gradient`."""
    return graft(x, {})


def heaviside(z: Expr) -> Expr:
    """1 where z > 0, else 0; no gradient."""
    return where(greater(z, 0.0), 1.0, 0.0)


def clamp(x: Expr, low: float, high: float) -> Expr:
    """x kept within [low, high]; its gradient is 1 on the closed interval and 0 outside."""
    inside = where(greater(low, x), 0.0, where(greater(x, high), 0.0, 1.0))
    return graft(minimum(maximum(x, low), high), {x: inside})


def topological(roots: Iterable[Expr]) -> list[Expr]:
    """Every node under the roots once, arguments first, left to right. Does not recurse."""
    order: list[Expr] = []
    seen: set[Expr] = set()
    stack: list[tuple[Expr, bool]] = [(root, False) for root in reversed(list(roots))]
    while stack:
        node, ready = stack.pop()
        if ready:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((arg, False) for arg in reversed(node.args) if arg not in seen)
    return order


def count_nodes(roots: Iterable[Expr]) -> int:
    """How many distinct nodes stand under the roots."""
    return len(topological(roots))


def free_variables(*roots: Expr) -> frozenset[str]:
    """Names of the variables under the roots (tables of `nearest` are not variables)."""
    return frozenset(str(node.data) for node in topological(roots) if node.op == "var")


def read_forward(*roots: Expr) -> frozenset[str]:
    """Names of the variables that the values of the roots depend on; derivatives of grafts left out."""
    found: set[Expr] = set()
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += node.args[:1] if node.op == "graft" else node.args
    return frozenset(str(node.data) for node in found if node.op == "var")


def tables(*roots: Expr) -> frozenset[str]:
    """Names of the tables that `nearest` reads under the roots."""
    return frozenset(str(node.data) for node in topological(roots) if node.op == "nearest")


def replace(roots: Sequence[Expr], by: Mapping[Expr, Expr]) -> list[Expr]:
    """The roots with whole subexpressions replaced, all at once."""
    done: dict[Expr, Expr] = {}
    for node in topological(roots):
        if node in by:
            done[node] = by[node]
        elif all(done[arg] is arg for arg in node.args):
            done[node] = node
        else:
            done[node] = make(node.op, *(done[arg] for arg in node.args), data=node.data)
    return [done[root] for root in roots]


def substitute(roots: Sequence[Expr], by: Mapping[str, Expr]) -> list[Expr]:
    """The roots with variables replaced, all at once, by expressions."""
    return replace(roots, {var(name): value for name, value in by.items()})
