"""Spiking LSTMs: products of input and last output make gates, which a pointwise cell takes in.

    NAME.input, NAME.hidden -> NAME.gates -> NAME.i, .f, .g, .o -> NAME      dense
    NAME.both -> NAME.conv -> NAME.i, .f, .o, .g -> NAME                     convolution

A pool may stand before the threshold (`snnhw.ir.composites.fired`): then what is reset are the membranes,
and what fires the pooled ones.
"""

from __future__ import annotations

from snnhw.ir.composites.composite import Composite
from snnhw.ir.frozen import FrozenMap
from snnhw.ir.ops import Add, Concat, Conv2d, Linear, Op, Slice
from snnhw.ir.program import Edge

__all__ = ["convolutional_lstm", "dense_lstm"]


def dense_lstm(name: str, cell: Composite, *, inputs: int, hidden: int, bias: bool) -> Composite:
    """Gates in the order i, f, g, o, as torch's ``LSTMCell`` has them, whose names the weights keep."""
    weights = f"{name}.lstm_cell"

    def product(size: int, kind: str) -> Linear:
        keys = {param: f"{weights}.{param}_{kind}" for param in ("weight", "bias")[: 1 + bias]}
        return Linear(size, 4 * hidden, bias=bias, keys=FrozenMap(keys))

    nodes = {f"{name}.input": product(inputs, "ih"), f"{name}.hidden": product(hidden, "hh")}
    gates = f"{name}.gates"
    back = Edge(cell.outputs["mem"], f"{name}.hidden.x", delay=1)
    return _gated(
        name,
        cell,
        order="ifgo",
        source=f"{gates}.y",
        size=hidden,
        nodes=nodes | {gates: Add()},
        inputs={"x": (f"{name}.input.x",)},
        edges=[back, Edge(f"{name}.input.y", f"{gates}.x"), Edge(f"{name}.hidden.y", f"{gates}.x")],
        back=back,
    )


def convolutional_lstm(
    name: str, cell: Composite, *, in_channels: int, channels: int, kernel: tuple[int, int], bias: bool
) -> Composite:
    """One convolution over input and last output together; gates in the order i, f, o, g."""
    both, conv = f"{name}.both", f"{name}.conv"
    padding = (kernel[0] // 2, kernel[1] // 2)
    nodes: dict[str, Op] = {
        both: Concat(0, (in_channels, channels)),
        conv: Conv2d(in_channels + channels, 4 * channels, kernel=kernel, padding=padding, bias=bias),
    }
    back = Edge(cell.outputs["mem"], f"{both}.x1", delay=1)
    return _gated(
        name,
        cell,
        order="ifog",
        source=f"{conv}.y",
        size=channels,
        nodes=nodes,
        inputs={"x": (f"{both}.x0",)},
        edges=[back, Edge(f"{both}.y", f"{conv}.x")],
        back=back,
    )


def _gated(
    name: str,
    cell: Composite,
    *,
    order: str,
    source: str,
    size: int,
    nodes: dict[str, Op],
    inputs: dict[str, tuple[str, ...]],
    edges: list[Edge],
    back: Edge,
) -> Composite:
    """The cell behind its gates, which lie one after the other along the first axis of ``source``."""
    for place, gate in enumerate(order):
        nodes[f"{name}.{gate}"] = Slice(0, place * size, (place + 1) * size)
        edges.append(Edge(source, f"{name}.{gate}.x"))
        edges += [Edge(f"{name}.{gate}.y", target) for target in cell.inputs[gate]]
    # The last membrane is carried twice: to the gates, and in the cell, whose reset reads it.
    states = cell.states | {"mem": (*cell.states["mem"], back.key)}
    return Composite(
        nodes=nodes | cell.nodes,
        inputs=FrozenMap(inputs),
        outputs=cell.outputs,
        edges=(*edges, *cell.edges),
        states=FrozenMap(states),
    )
