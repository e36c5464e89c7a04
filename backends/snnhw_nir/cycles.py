"""Which edges of a cycle carry the step of delay that a graph in continuous time does not mention."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

__all__ = ["Recurrence", "delayed_edges", "downstream"]

Recurrence = Literal["spikes", "current"]
"""Where the delay sits: on what leaves the neuron, so that a bias in the loop acts from the first step
on, as in snnTorch; or on what arrives at it, as nirtorch runs it."""


def delayed_edges(
    nodes: Mapping[str, bool],
    edges: Sequence[tuple[str, str]],
    roots: Collection[str],
    recurrence: Recurrence = "spikes",
    apart: Collection[int] = (),
) -> frozenset[int]:
    """Positions of the edges to delay by a step, so that no cycle is left.

    A depth-first walk from the inputs, by name, finds the edges that lead back; ``spikes`` moves each
    upstream, through stateless nodes that stand in a row, to the neuron it comes from.

    Args:
        nodes: name -> whether it is a neuron.
        roots: where walks begin; what they do not reach is walked from thereafter.
        apart: positions of edges with a delay of their own, which make no cycle.
    """
    back = _leading_back(nodes, edges, roots, apart)
    if recurrence == "current":
        return frozenset(back)
    into: dict[str, list[int]] = {name: [] for name in nodes}
    out: dict[str, list[int]] = {name: [] for name in nodes}
    for place, (source, target) in enumerate(edges):
        out[source].append(place)
        into[target].append(place)
    return frozenset(_upstream(place, nodes, edges, into, out) for place in back)


def downstream(
    place: int, nodes: Mapping[str, bool], edges: Sequence[tuple[str, str]]
) -> tuple[int, tuple[str, ...]]:
    """The last edge that may be late in the place of this one, and the stateless nodes in between.

    A step of delay passes through a stateless node that stands in a row; only what such a node gives when
    nothing has arrived yet, a bias, is another.
    """
    passed: list[str] = []
    while True:
        target = edges[place][1]
        into = sum(end == target for _, end in edges)
        out = [number for number, (start, _) in enumerate(edges) if start == target]
        if nodes[target] or into != 1 or len(out) != 1 or target in passed:
            return place, tuple(passed)
        passed.append(target)
        (place,) = out


def _upstream(
    place: int,
    nodes: Mapping[str, bool],
    edges: Sequence[tuple[str, str]],
    into: Mapping[str, list[int]],
    out: Mapping[str, list[int]],
) -> int:
    start = place
    while True:
        source = edges[place][0]
        if nodes[source] or len(into[source]) != 1 or len(out[source]) != 1:
            return place
        place = into[source][0]
        if place == start:  # a ring without neurons
            return place


def _leading_back(
    nodes: Mapping[str, bool],
    edges: Sequence[tuple[str, str]],
    roots: Collection[str],
    apart: Collection[int],
) -> list[int]:
    following: dict[str, list[tuple[str, int]]] = {name: [] for name in nodes}
    for place, (source, target) in enumerate(edges):
        if place not in apart:
            following[source].append((target, place))
    for targets in following.values():
        targets.sort(reverse=True)  # by name, since files keep no order of nodes
    found = []
    state: dict[str, bool] = {}  # on the path, or left for good
    for root in [*sorted(roots), *sorted(nodes)]:
        stack = [] if root in state else [root]
        while stack:
            name = stack[-1]
            state.setdefault(name, True)
            if not following[name]:
                state[name] = False
                stack.pop()
                continue
            target, place = following[name].pop()
            if target not in state:
                stack.append(target)
            elif state[target]:
                found.append(place)
    return found
