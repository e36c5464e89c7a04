"""Modules within modules as graphs within graphs.

NIR's graphs have one way in and one way out. A module is written as one where everything that enters it
reaches the same nodes, and whatever it gives goes to the same; any other stays flat, under dotted names.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np

from snnhw_nir.graph import Graph, Node
from snnhw_nir.wires import unused

__all__ = ["nested"]

Shape = tuple[int, ...]
Edges = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Level:
    """What stands side by side.

    Attributes:
        at: dotted name of the module that holds it, with its dot; "" for the whole.
        arriving: name of a node -> shape of what arrives there.
    """

    nodes: Mapping[str, Node | Graph]
    edges: Edges
    arriving: Mapping[str, Shape]
    at: str = ""


def nested(graph: Graph, arriving: Mapping[str, Shape]) -> tuple[Graph, tuple[str, ...]]:
    """The graph with a subgraph for each module, and the modules that stay flat, each with the reason.

    Args:
        graph: flat; modules are what names have before their last dot.
        arriving: name of a node -> shape of what arrives there.
    """
    notes: list[str] = []
    level = _grouped(_Level(graph.nodes, graph.edges, arriving), notes)
    return Graph(level.nodes, level.edges, graph.metadata), tuple(notes)


def _grouped(level: _Level, notes: list[str]) -> _Level:
    for module in dict.fromkeys(name.partition(".")[0] for name in level.nodes if "." in name):
        if module in level.nodes:  # a neuron that takes several nodes is no module
            continue
        inside = {name for name in level.nodes if name.startswith(f"{module}.")}
        if why := _why_not(level, inside):
            notes.append(f"{level.at}{module}: its nodes stand in the graph around it: {why}")
        else:
            level = _with_subgraph(level, module, inside, notes)
    return level


def _why_not(level: _Level, inside: Collection[str]) -> str:
    kinds = {node.type for name in inside if isinstance(node := level.nodes[name], Node)}
    if kinds & {"Input", "Output"}:
        return "it holds an Input or an Output of the whole"
    for what, crossing in (("arrives", _entering(level, inside)), ("leaves", _leaving(level, inside))):
        if not crossing:
            return f"nothing {what}"
        if len(crossing) < len({a for a, _ in crossing}) * len({b for _, b in crossing}):
            return f"what {what} takes several ways"
    return ""


def _entering(level: _Level, inside: Collection[str]) -> Edges:
    return tuple((a, b) for a, b in level.edges if a not in inside and b in inside)


def _leaving(level: _Level, inside: Collection[str]) -> Edges:
    return tuple((a, b) for a, b in level.edges if a in inside and b not in inside)


def _with_subgraph(level: _Level, module: str, inside: Collection[str], notes: list[str]) -> _Level:
    def short(name: str) -> str:
        return name[len(module) + 1 :]

    inner = {short(name): node for name, node in level.nodes.items() if name in inside}
    entrance, exit_ = unused("input", inner), unused("output", inner)
    shapes = {short(name): level.arriving[name] for name in inside}
    shapes[entrance] = level.arriving[_entering(level, inside)[0][1]]
    shapes[exit_] = level.arriving[_leaving(level, inside)[0][1]]
    inner |= {entrance: _end("Input", shapes[entrance]), exit_: _end("Output", shapes[exit_])}
    within: dict[tuple[str, str], None] = {}  # in order, each once
    around: dict[tuple[str, str], None] = {}
    for a, b in level.edges:
        starts, ends = a in inside, b in inside
        if starts or ends:
            within[short(a) if starts else entrance, short(b) if ends else exit_] = None
        if not (starts and ends):
            around[module if starts else a, module if ends else b] = None
    held = _grouped(_Level(inner, tuple(within), shapes, f"{level.at}{module}."), notes)
    left = {name: node for name, node in level.nodes.items() if name not in inside}
    arriving = {**level.arriving, module: shapes[entrance]}
    return replace(
        level,
        nodes={**left, module: Graph(held.nodes, held.edges)},
        edges=tuple(around),
        arriving=arriving,
    )


def _end(kind: str, shape: Shape) -> Node:
    return Node(kind, {"shape": np.asarray(shape)})
