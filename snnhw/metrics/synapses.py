"""Synaptic operations, as NeuroBench counts them (https://neurobench.ai, its metric ``SynapticOperations``).

A layer of weights makes one operation for each input that is not 0, along each of its weights that is not 0.
So each element of an input has a *fan-out*, the number of weights that it meets, and operations are the sum
of the fan-outs of those that are not 0. A layer is linear: the fan-out is the gradient of the sum of its
outputs, with every weight that is not 0 put to 1, and the reference gives it for every kind of layer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any, Final

import numpy as np

from snnhw.ir import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    FrozenMap,
    Input,
    Linear,
    Op,
    Params,
    Program,
    infer_shapes,
    sequential,
)
from snnhw.metrics.records import SynapticOperations
from snnhw.plugin import Arrays
from snnhw.reference import pullback
from snnhw.target import Array

__all__ = ["LAYERS", "Fan", "arriving", "fans", "operations", "sources"]

LAYERS: Final[tuple[type[Op], ...]] = (Linear, Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d)
"""Layers of weights. NeuroBench knows no transposed ones; they are counted in the same way."""

SPIKES: Final = (-1, 0, 1)
"""What inputs are, where an operation is an accumulation."""


@dataclass(frozen=True, eq=False)
class Fan:
    """A layer of weights.

    Attributes:
        name: its node; op: in a word.
        out: of each element of its input, the weights that are not 0 which it meets, ``[N]``.
        dense: the weights that all elements meet, those that are 0 included.
        weights: how many; zeros: how many of them are 0.
    """

    name: str
    op: str
    out: Array
    dense: int
    weights: int
    zeros: int


def fans(program: Program, params: Params) -> tuple[Fan, ...]:
    """Of every layer of weights, in order."""
    return tuple(_fan(program, params, n) for n, op in program.nodes.items() if isinstance(op, LAYERS))


def _fan(program: Program, params: Params, name: str) -> Fan:
    op: Any = program.nodes[name]
    weight = np.asarray(params[program.param_keys(name)["weight"]])
    source = program.into(name, "x")[0].src
    shape = infer_shapes(program).shapes[source]
    bare = replace(op, bias=False, keys=FrozenMap())
    out = _fan_out(bare, shape, weight != 0)
    dense = out if weight.all() else _fan_out(bare, shape, np.ones(weight.shape))
    zeros = weight.size - int(np.count_nonzero(weight))
    return Fan(name, type(op).__name__, out, int(dense.sum()), weight.size, zeros)


def _fan_out(op: Op, shape: tuple[int, ...], weight: Array) -> Array:
    alone = sequential({"x": Input(shape), "op": op}, train=False)
    seeds = {"op.y": np.ones((1, 1, *infer_shapes(alone).shapes["op.y"]))}
    inputs = {"x": np.zeros((1, 1, *shape))}
    found = pullback(alone, {"op.weight": weight.astype(np.float64)}, inputs, seeds, wrt_inputs=True)
    return found.inputs["x"].reshape(prod(shape))


def sources(program: Program) -> tuple[str, ...]:
    """Ports that layers of weights read."""
    layers = [name for name, op in program.nodes.items() if isinstance(op, LAYERS)]
    return tuple(dict.fromkeys(edge.src for name in layers for edge in program.into(name, "x")))


def arriving(program: Program, params: Params, name: str, seen: Arrays) -> Array:
    """What a layer reads, ``[T, B, ...]``: the sum of what arrives, each after its delay."""
    found = [
        _delayed(seen[edge.src], edge.delay, params[edge.init] if isinstance(edge.init, str) else edge.init)
        for edge in program.into(name, "x")
    ]
    return found[0] if len(found) == 1 else np.sum(found, axis=0)


def _delayed(x: Array, delay: int, init: Any) -> Array:
    if not delay:
        return x
    first = np.broadcast_to(np.asarray(init, x.dtype), (min(delay, len(x)), *x.shape[1:]))
    return np.concatenate([first, x[:-delay]])


def operations(fan: Fan, x: Array) -> SynapticOperations:
    """What a layer does with a batch, ``[T, B, ...]``."""
    acs = macs = 0
    for now in x:
        made = int(np.count_nonzero(now, axis=0).ravel() @ fan.out)
        if np.isin(now, SPIKES).all():
            acs += made
        else:
            macs += made
    steps, batch = x.shape[:2]
    return SynapticOperations(fan.name, fan.op, batch, acs, macs, fan.dense * steps * batch)
