"""Chains: a neuron, the product that reads it, the batch norm and the pool behind that.

They run as one. What is large behind the product, the result of a convolution above all, is never in memory
as a whole, and on the way back the spikes make room for their adjoint.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from snnhw.ir import BatchNorm, Conv1d, Conv2d, Conv3d, Edge, Flatten, Linear, Neuron, Op, Program
from snnhw.tensors.network.adjoints import Keeping
from snnhw.tensors.network.memo import Remembering
from snnhw.tensors.network.ops import Operation
from snnhw.tensors.network.schedule import Schedule, Stage

__all__ = ["Chain", "chained", "chains"]

PRODUCTS = (Linear, Conv1d, Conv2d, Conv3d)
"""What a chain can be around: their adjoint is written by hand."""


@dataclass(frozen=True)
class Chain:
    """Nodes in a row, each read by the next one alone.

    Attributes:
        neuron: what the product reads, if it is a neuron.
        views: between the two.
        product: a convolution or a linear layer.
        norm: behind it, in evaluation, where it treats all rows alike.
        pool: behind that, if its layer is a `Keeping` one.
    """

    neuron: str | None
    views: tuple[str, ...]
    product: str
    norm: str | None
    pool: str | None

    @property
    def nodes(self) -> tuple[str, ...]:
        named = (self.neuron, *self.views, self.product, self.norm, self.pool)
        return tuple(name for name in named if name)


def chains(
    program: Program,
    schedule: Schedule,
    layers: Mapping[str, Operation | Remembering],
    *,
    training: bool,
    alone: tuple[type[Op], ...],
) -> tuple[Chain, ...]:
    """All chains of a program; no node is in two of them.

    Args:
        alone: products that are worth a chain with nothing around them.
    """
    modes = {name: stage.mode for stage in schedule.stages for name in stage.nodes}
    found = (
        _around(program, modes, layers, name, norms=not training)
        for name, op in program.nodes.items()
        if isinstance(op, PRODUCTS) and modes[name] == "folded"
    )
    return tuple(
        chain for chain in found if len(chain.nodes) > 1 or isinstance(program.nodes[chain.product], alone)
    )


def _around(
    program: Program,
    modes: Mapping[str, str],
    layers: Mapping[str, Operation | Remembering],
    name: str,
    *,
    norms: bool,
) -> Chain:
    views: list[str] = []
    neuron = norm = pool = None
    for edge in _upwards(program, name):
        before = edge.source.node
        if isinstance(program.nodes[before], Flatten) and modes[before] == "folded":
            views.insert(0, before)
            continue
        if _scans(program.nodes[before]) and modes[before] == "scan":
            neuron = before
        break
    after = _reader(program, f"{name}.y")
    if after and norms and _normalises(program.nodes[after.target.node]):
        norm = after.target.node
        after = _reader(program, f"{norm}.y")
    if after and modes[after.target.node] == "folded" and isinstance(layers.get(after.target.node), Keeping):
        pool = after.target.node
    return Chain(neuron, tuple(views) if neuron else (), name, norm, pool)


def _scans(op: Op) -> bool:
    """Whether it is a neuron whose adjoint is derived, and not left to a user's function."""
    return isinstance(op, Neuron) and op.equations().opaque is None


def _normalises(op: Op) -> bool:
    """Whether it is a batch norm whose parameters are the same at every step."""
    return isinstance(op, BatchNorm) and op.time_steps is None


def _upwards(program: Program, name: str) -> Iterator[Edge]:
    """From the only thing that a node reads to the only thing which that reads, and so on."""
    while True:
        arriving = program.into(name, "x")
        if len(arriving) != 1 or _reader(program, arriving[0].src) is None:
            return
        yield arriving[0]
        name = arriving[0].source.node


def _reader(program: Program, port: str) -> Edge | None:
    """The edge by which a port is read, if it is the only one, without delay, and all that arrives there."""
    readers = [edge for edge in program.edges if edge.src == port]
    if len(readers) != 1 or readers[0].delay or len(program.into(*readers[0].target)) != 1:
        return None
    return readers[0]


def chained(schedule: Schedule, found: tuple[Chain, ...]) -> tuple[Stage, ...]:
    """The stages of a schedule, the nodes of a chain as one where its first node stood."""
    first = {chain.nodes[0]: chain for chain in found}
    rest = {name for chain in found for name in chain.nodes[1:]}
    return tuple(
        Stage(first[stage.nodes[0]].nodes, "chained") if stage.nodes[0] in first else stage
        for stage in schedule.stages
        if stage.nodes[0] not in rest
    )
