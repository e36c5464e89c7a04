"""Equations as they run forward: every graft stands for its value, and its derivatives are left out."""

from __future__ import annotations

from collections.abc import Sequence

from snnhw.ir import Expr, StepEquations, topological
from snnhw.ir.expr import make

__all__ = ["forward", "forward_primitives"]


def forward(roots: Sequence[Expr]) -> list[Expr]:
    """The roots without their grafts."""
    done: dict[Expr, Expr] = {}
    for node in topological(roots):
        if node.op == "graft":
            done[node] = done[node.args[0]]
        elif all(done[arg] is arg for arg in node.args):
            done[node] = node
        else:
            done[node] = make(node.op, *(done[arg] for arg in node.args), data=node.data)
    return [done[root] for root in roots]


def forward_primitives(step: StepEquations) -> frozenset[str]:
    """What a step computes with when it only runs."""
    return frozenset(
        node.op for node in topological(forward([*step.updates.values(), *step.outputs.values()]))
    )
