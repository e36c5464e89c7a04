"""A flat graph on its way to a reader, and the layers that readers have in common."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from snnhw.ir import Shape
from snnhw_nir.cycles import Recurrence, delayed_edges, downstream
from snnhw_nir.graph import Array, Graph, Node
from snnhw_nir.wires import unused

__all__ = ["STATEFUL", "Draft", "conv", "times"]

STATEFUL: Final = ("I", "IF", "LI", "LIF", "CubaLI", "CubaLIF")

Edge = tuple[str, str]


@dataclass(frozen=True)
class Draft:
    """Nodes and edges so far.

    Attributes:
        arriving: name of a node -> shape of what arrives there.
        ports: output port of the program -> node that gives it.
        dt: length of a step in seconds.
        notes: what was put otherwise, and why.
    """

    nodes: Mapping[str, Node]
    edges: tuple[Edge, ...]
    arriving: Mapping[str, Shape]
    ports: Mapping[str, str]
    dt: float
    notes: tuple[str, ...] = ()

    @property
    def graph(self) -> Graph:
        return Graph(self.nodes, self.edges)

    @property
    def types(self) -> dict[str, str]:
        return {name: node.type for name, node in self.nodes.items()}

    def of(self, *types: str) -> list[str]:
        """The names of the nodes of these types."""
        return [name for name, node in self.nodes.items() if node.type in types]

    def sources(self, name: str) -> list[str]:
        return [source for source, target in self.edges if target == name]

    def targets(self, name: str) -> list[str]:
        return [target for source, target in self.edges if source == name]

    def put(self, name: str, node: Node, note: str = "") -> Draft:
        """With a node in the place of the one of that name."""
        notes = (*self.notes, note) if note else self.notes
        return replace(self, nodes={**self.nodes, name: node}, notes=notes)

    def with_shapes(self, arriving: Mapping[str, Shape]) -> Draft:
        """Where other shapes arrive."""
        return replace(self, arriving={**self.arriving, **arriving})

    def before(self, target: str, sources: Collection[str], last: str, node: Node) -> Draft:
        """With a node of the name ``target.last`` that hears these sources in the place of the target, which
        hears it."""
        name = unused(f"{target}.{last}", self.nodes)
        edges = tuple((a, name if b == target and a in sources else b) for a, b in self.edges)
        arriving = {**self.arriving, name: self.arriving[target]}
        return replace(self.put(name, node), edges=(*edges, (name, target)), arriving=arriving)

    def late(self, recurrence: Recurrence = "spikes") -> frozenset[int]:
        """Positions of the edges that a cycle delays by a step."""
        apart = {place for place, (_, target) in enumerate(self.edges) if self.types[target] == "Delay"}
        return delayed_edges(self.stateful, self.edges, self.of("Input"), recurrence, apart)

    def downstream(self, place: int) -> tuple[int, tuple[str, ...]]:
        """See `snnhw_nir.cycles.downstream`."""
        return downstream(place, self.stateful, self.edges)

    @property
    def stateful(self) -> dict[str, bool]:
        return {name: node.type in STATEFUL for name, node in self.nodes.items()}


def times(factor: Array, shape: Shape, bias: Array | None = None) -> Node | None:
    """What arrives times a factor, of one number for each value or channel, and plus a bias likewise, as a
    layer that every reader has: a diagonal product, or a convolution of one pixel. None: there is none."""
    if len(shape) == 1:
        weight = np.diag(np.broadcast_to(factor, shape)).astype(np.float32)
        if bias is None:
            return Node("Linear", {"weight": weight})
        return Node("Affine", {"weight": weight, "bias": np.asarray(bias, np.float32)})
    if len(shape) != 3:
        return None
    rows = np.broadcast_to(factor, shape).reshape(shape[0], -1)
    if not bool((rows == rows[:, :1]).all()):
        return None
    weight = np.diag(rows[:, 0]).astype(np.float32).reshape(shape[0], shape[0], 1, 1)
    added = np.zeros(shape[0], np.float32) if bias is None else np.asarray(bias, np.float32)
    return conv(shape, weight, added)


def conv(
    shape: Shape,
    weight: Array,
    bias: Array,
    stride: tuple[int, ...] = (1, 1),
    padding: tuple[int, ...] = (0, 0),
) -> Node:
    """A convolution of an input ``[C, H, W]``."""
    fields = {"input_shape": shape[1:], "stride": stride, "padding": padding, "dilation": (1, 1), "groups": 1}
    arrays = {name: np.asarray(value) for name, value in fields.items()}
    return Node("Conv2d", {**arrays, "weight": weight, "bias": bias})
