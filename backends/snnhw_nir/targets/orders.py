"""In which order readers compute the nodes of a graph, and so which edges they read a step late.

A reader that computes a node before one that it hears takes what that gave in the step before. In a cycle
that has to happen once; anywhere else it is an error that nobody sees. What is here are the walks that the
readers of `snnhw_nir.targets.dialects` take, as read in their source and measured.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

__all__ = ["ORDERS", "Order", "Walk", "sorted_for_depth"]

Order = Literal["any", "depth first", "in turn"]
Edges = Sequence[tuple[str, str]]

Walk = tuple[str, ...] | None
"""Nodes in the order in which they are computed; None: the reader looks for one without end."""


def _depth_first(types: Mapping[str, str], edges: Edges) -> Walk:
    """``nirtorch.load``: each node as soon as one that it hears was computed, edges in the file's order."""
    found: dict[str, None] = {}
    following: dict[str, list[str]] = {name: [] for name in types}
    for source, target in edges:
        following[source].append(target)
    stack = [name for name, kind in types.items() if kind == "Input"][:1]
    while stack:
        name = stack.pop()
        if name not in found:
            found[name] = None
            stack += reversed(following[name])
    return tuple(found)


def _in_turn(types: Mapping[str, str], edges: Edges) -> Walk:
    """``nirtorch.nir_to_torch``: by name, each put off until what it hears is there, or lies in a cycle with
    it and is not all that it hears. The output comes last; where there are two, each waits for the other."""
    hears: dict[str, set[str]] = {name: set() for name in types}
    for source, target in edges:
        hears[target].add(source)
    behind = _reachable(types, edges)
    found: dict[str, None] = {}
    queue, waited = deque(sorted(types)), 0
    while queue:
        if waited > len(queue):
            return None
        name = queue.popleft()
        missing = {source for source in hears[name] if source not in found}
        if len(hears[name]) > 1:
            missing -= behind[name]
        ready = not missing if found else types[name] == "Input"
        if ready and types[name] == "Output":
            ready = not queue
        if ready:
            found[name] = None
            waited = 0
        else:
            queue.append(name)
            waited += 1
    return tuple(found)


def _reachable(types: Mapping[str, str], edges: Edges) -> dict[str, set[str]]:
    """Node -> what can be reached from it."""
    following: dict[str, set[str]] = {name: set() for name in types}
    for source, target in edges:
        following[source].add(target)
    found: dict[str, set[str]] = {}
    for name in types:
        seen: set[str] = set()
        stack = [name]
        while stack:
            new = following[stack.pop()] - seen
            seen |= new
            stack += new
        found[name] = seen
    return found


ORDERS: Final[Mapping[Order, Callable[[Mapping[str, str], Edges], Walk]]] = {
    "depth first": _depth_first,
    "in turn": _in_turn,
}
"""Order -> the walk, from types by name and edges. In ``any`` order, a reader computes what is right."""


def sorted_for_depth(
    types: Mapping[str, str], edges: Edges, late: frozenset[int]
) -> tuple[tuple[str, str], ...]:
    """The edges in an order in which a walk in depth comes to a node after those that it hears, where there
    is one: dead ends first, the way to the Output last, and on it what is nearer before what is further.

    Args:
        late: positions of the edges that are late by a step anyhow.
    """
    ahead = [edge for place, edge in enumerate(edges) if place not in late]
    behind = _reachable(types, ahead)
    leads = {name for name, found in behind.items() if any(types[each] == "Output" for each in found)}
    rank = {name: (types[name] == "Output", name in leads, -len(behind[name])) for name in types}
    return tuple(sorted(edges, key=lambda edge: rank[edge[1]]))
