"""How large a recorded graph becomes on its way to PopART."""

from __future__ import annotations

from .graph import Graph, base_name

__all__ = ["DEAD", "dead_nodes", "popart_nodes"]

DEAD = {"sub": 3}
"""Operation -> nodes that PopTorch makes besides, and that nothing reads: a constant, a cast and a product
for the factor ``alpha`` of ``sub``, whatever that is."""


def dead_nodes(graph: Graph) -> int:
    """Nodes that PopART is given for nothing."""
    return sum(DEAD.get(base_name(node.function), 0) for node in graph.nodes)


def popart_nodes(graph: Graph) -> int:
    """About how many nodes PopART is given; what PopTorch's own front end gave for one network is 13 more."""
    return len(graph.nodes) + dead_nodes(graph)
