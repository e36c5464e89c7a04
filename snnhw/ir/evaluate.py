"""Running an expression with somebody's array functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from snnhw.errors import ExpressionError
from snnhw.ir.expr import PRIMITIVES, Expr, topological

__all__ = ["Namespace", "evaluate", "numpy_namespace"]

Namespace = Mapping[str, Callable[..., Any]]
"""Op name -> function. ``const`` takes a float; ``nearest`` takes x and the table; ``graft`` takes
``value, x1, d1, ...`` and gives the value, with whatever notion of derivative the library has."""


def evaluate(roots: Sequence[Expr], env: Mapping[str, Any], namespace: Namespace) -> list[Any]:
    """The values of ``roots``.

    Args:
        roots: expressions; what they share is computed once.
        env: variable or table name -> value; values broadcast as the namespace's library does.
        namespace: the functions to compute with.

    Raises:
        ExpressionError: a variable has no value in ``env``.
    """
    values: dict[Expr, Any] = {}
    for node in topological(roots):
        if node.op == "const":
            values[node] = namespace["const"](node.data)
        elif node.op == "var":
            values[node] = _look_up(env, str(node.data))
        elif node.op == "nearest":
            values[node] = namespace["nearest"](values[node.args[0]], _look_up(env, str(node.data)))
        else:
            values[node] = namespace[node.op](*(values[arg] for arg in node.args))
    return [values[root] for root in roots]


def _look_up(env: Mapping[str, Any], name: str) -> Any:
    try:
        return env[name]
    except KeyError:
        known = ", ".join(sorted(env)) or "none"
        raise ExpressionError(f"no value was given for '{name}'; given: {known}") from None


def numpy_namespace(dtype: DTypeLike = np.float64) -> Namespace:
    """NumPy's functions at one compute dtype: every operation rounds once to it."""
    real = np.dtype(dtype).type

    def sigmoid(x: Any) -> Any:
        positive = x >= 0
        small = np.exp(np.where(positive, -x, x))  # never overflows
        return np.where(positive, real(1), small) / (real(1) + small)

    known = {name: entry.numpy for name, entry in PRIMITIVES.items() if entry.numpy is not None}
    return {**known, "const": real, "sigmoid": sigmoid}
