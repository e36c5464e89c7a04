"""Graphs without what only passes values on: subgraphs, their inputs and outputs, and sums by name."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import count
from typing import Final

from snnhw.errors import LoadError
from snnhw_nir.graph import Graph, Node

__all__ = ["WIRE", "inlined", "unused", "without_wires"]

WIRE: Final = Node("wire", {})
"""A node that is not there: what arrives leaves again, summed. NIR sums wherever edges meet."""

MAX_EDGES: Final = 1_000_000

Edges = list[tuple[str, str]]


def unused(name: str, taken: Container[str]) -> str:
    """The name, numbered where it is taken."""
    if name not in taken:
        return name
    return next(each for number in count(1) if (each := f"{name}_{number}") not in taken)


def inlined(graph: Graph) -> Graph:
    """The same graph without subgraphs: their nodes stand under dotted names.

    Raises:
        LoadError: edges meet a subgraph that has not exactly one Input or Output.
    """
    nodes, edges = _inlined(graph, "")
    return Graph(*without_wires(nodes, edges), graph.metadata)


def _inlined(graph: Graph, prefix: str) -> tuple[dict[str, Node], Edges]:
    nodes: dict[str, Node] = {}
    edges: Edges = []
    met = {end for edge in graph.edges for end in edge}
    ends: dict[str, tuple[str, str]] = {}  # name of a subgraph -> where edges enter and leave it
    for name, item in graph.nodes.items():
        if isinstance(item, Node):
            nodes[prefix + name] = WIRE if prefix and item.type in ("Input", "Output") else item
            continue
        inner, between = _inlined(item, f"{prefix}{name}.")
        if taken := sorted(inner.keys() & nodes.keys()):
            raise LoadError(f"node '{taken[0]}' stands in the graph and in a subgraph; rename one")
        nodes |= inner
        edges += between
        if name in met:
            ends[name] = (_only(item, "Input", prefix + name), _only(item, "Output", prefix + name))
    for source, target in graph.edges:
        leaving = ends[source][1] if source in ends else prefix + source
        edges.append((leaving, ends[target][0] if target in ends else prefix + target))
    return nodes, edges


def _only(graph: Graph, kind: str, name: str) -> str:
    found = [inner for inner, node in graph.nodes.items() if isinstance(node, Node) and node.type == kind]
    if len(found) != 1:
        raise LoadError(
            f"subgraph '{name}' has {len(found)} nodes of type {kind}; edges meet it, so give it one"
        )
    return f"{name}.{found[0]}"


def without_wires(
    nodes: Mapping[str, Node], edges: Sequence[tuple[str, str]], most: int = MAX_EDGES
) -> tuple[dict[str, Node], tuple[tuple[str, str], ...]]:
    """Nodes and edges with every `WIRE` cut out; the order in which edges add up is kept.

    Args:
        most: edges that may come of it: wires in a row multiply them.

    Raises:
        LoadError: wires form a ring, or more edges come of them.
    """
    into: dict[str, list[str]] = {name: [] for name, node in nodes.items() if node is WIRE}
    for source, target in edges:
        if target in into:
            into[target].append(source)
    behind: dict[str, list[str]] = {}  # wire -> what really arrives through it
    try:
        order = list(TopologicalSorter(into).static_order())
    except CycleError as error:
        raise LoadError(f"{' -> '.join(error.args[1])} pass on to each other, and compute nothing") from error
    spent = 0
    for wire in order:
        if wire in into:
            behind[wire] = [each for source in into[wire] for each in behind.get(source, [source])]
            spent += len(behind[wire])
            if spent > most:
                raise LoadError(f"more than {most} edges come of its subgraphs")
    joined: list[tuple[str, str]] = []
    for source, target in edges:
        if target not in into:
            joined += [(each, target) for each in behind.get(source, [source])]
        if len(joined) > most:
            raise LoadError(f"more than {most} edges come of its subgraphs")
    return {name: node for name, node in nodes.items() if node is not WIRE}, tuple(joined)
