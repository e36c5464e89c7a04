"""Making a graph what one reader reads correctly, and saying where that cannot be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np

from snnhw_nir.cycles import delayed_edges
from snnhw_nir.dialects import Dialect
from snnhw_nir.gains import scaled, takes
from snnhw_nir.graph import Array, Graph, Node
from snnhw_nir.wires import unused

__all__ = ["fitted", "misfits"]

Nodes = dict[str, Node]
Edges = list[tuple[str, str]]


def fitted(graph: Graph, dialect: Dialect) -> Graph:
    """The same computation, in the words of a dialect."""
    nodes = {name: node for name, node in graph.nodes.items() if isinstance(node, Node)}
    edges = list(graph.edges)
    if dialect.gain == "weights":
        nodes, edges = _gain_in_weights(nodes, edges)
    if not dialect.dots:
        names = _without_dots(nodes)
        nodes = {names[name]: node for name, node in nodes.items()}
        edges = [(names[a], names[b]) for a, b in edges]
    return Graph(nodes, tuple(edges), graph.metadata)


def _without_dots(nodes: Nodes) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in nodes:
        found[name] = unused(name.replace(".", "_"), set(found.values()))
    return found


def _gain_in_weights(nodes: Nodes, edges: Edges) -> tuple[Nodes, Edges]:
    """Every LIF with ``r = 1``: what it multiplied by goes into the weights before it."""
    done, left = dict(nodes), list(edges)
    for name, node in nodes.items():
        if node.type != "LIF" or (r := np.asarray(node.fields["r"])).size == 0 or bool((r == 1).all()):
            continue
        done[name] = Node("LIF", {**node.fields, "r": np.ones_like(r)})
        for source in [a for a, b in left if b == name]:
            alone = sum(a == source for a, _ in left) == 1
            if alone and takes(nodes[source], r):
                done[source] = scaled(done[source], r)
                continue
            between = unused(f"{name}.gain", done)
            done[between] = (
                Node("Linear", {"weight": np.diag(r.reshape(-1))})
                if r.ndim == 1
                else Node("Scale", {"scale": r})
            )
            place = left.index((source, name))
            left[place : place + 1] = [(source, between), (between, name)]
    return done, left


# -- What a reader cannot take ----------------------------------------------------------------------


def misfits(graph: Graph, dialect: Dialect, dt: float) -> list[str]:
    """Everything in a graph that the reader gets wrong or refuses, each with its node."""
    nodes = {name: node for name, node in graph.nodes.items() if isinstance(node, Node)}
    found = [
        f"{name}: '{dialect.name}' reads no {node.type}"
        for name, node in nodes.items()
        if node.type not in dialect.nodes
    ]
    roots = [name for name, node in nodes.items() if node.type == "Input"]
    if not dialect.cycles and delayed_edges(dict.fromkeys(nodes, False), graph.edges, roots):
        found.append(f"the graph is recurrent, which '{dialect.name}' fails to read")
    return [*found, *_broken_rules(nodes, dialect, dt)]


def _broken_rules(nodes: Mapping[str, Node], dialect: Dialect, dt: float) -> Iterator[str]:
    for rule in dialect.rules:
        for name, node in nodes.items():
            if node.type not in rule.types or node.type not in dialect.nodes:
                continue
            value = _quantity(node, rule.field, dt)
            if value is not None and not _MUST[rule.must](value, node):
                yield f"{name}: its {rule.field} must be {rule.must}: '{dialect.name}': {rule.because}"


def _quantity(node: Node, field: str, dt: float) -> Array | None:
    fields = {
        name: np.asarray(value, np.float64)
        for name, value in node.fields.items()
        if not isinstance(value, str)
    }
    if field == "gain":
        return fields["r"] * dt / fields.get("tau", fields.get("tau_mem", np.ones(())))
    if field == "current gain":
        return fields["w_in"] * dt / fields["tau_syn"]
    return fields.get(field)


_MUST: Final[Mapping[str, Callable[[Array, Node], bool]]] = {
    "zero": lambda value, node: bool((value == 0).all()),
    "1": lambda value, node: bool(np.allclose(value, 1.0, rtol=5e-7, atol=0.0)),
    "one number": lambda value, node: bool(np.allclose(value, value.flat[0], rtol=2e-7, atol=0.0)),
    "equal to v_reset": lambda value, node: bool((value == np.asarray(node.fields["v_reset"])).all()),
}
