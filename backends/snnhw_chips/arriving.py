"""How what a chip is given reaches its populations, as nodes of a program of integers."""

from __future__ import annotations

from snnhw.ir import Edge, Flatten, Input, Op
from snnhw.target import ChipNetwork

__all__ = ["arriving"]


def arriving(network: ChipNetwork) -> tuple[dict[str, Op], list[Edge], dict[str, str]]:
    """Nodes, edges, and input -> the port that gives it as one row."""
    nodes: dict[str, Op] = {name: Input(shape) for name, shape in network.inputs.items()}
    edges: list[Edge] = []
    sources = {name: f"{name}.y" for name in network.inputs}
    for name, shape in network.inputs.items():
        if len(shape) != 1:
            nodes[f"{name}_flat"] = Flatten()
            edges.append(Edge(f"{name}.y", f"{name}_flat.x"))
            sources[name] = f"{name}_flat.y"
    return nodes, edges, sources
