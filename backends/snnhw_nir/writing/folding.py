"""Batch norm, which NIR has no form for, as part of the layer before it.

In evaluation it is an affine function of each channel, and so are the weights of the layer that gives them:

    s = weight / sqrt(running_var + eps)
    W' = s W,    b' = s (b - running_mean) + bias

Worked out in float64 and rounded once, to the dtype of the weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from snnhw.errors import ExportError
from snnhw.ir import (
    BatchNorm,
    Conv1d,
    Conv2d,
    FrozenMap,
    Linear,
    Params,
    Program,
    Shape,
    infer_shapes,
)
from snnhw.passes import components
from snnhw_nir.graph import Array
from snnhw_nir.wires import unused

__all__ = ["Folded", "folded"]

WEIGHTED: Final = (Linear, Conv1d, Conv2d)
"""Layers whose output has its channels where their weights have them: first."""


@dataclass(frozen=True)
class Folded:
    """A program without batch norm, as far as that can be.

    Attributes:
        into: batch norm -> the layer that it became part of.
        refused: batch norm -> why it cannot, and the way on.
    """

    program: Program
    params: Params
    into: Mapping[str, str]
    refused: Mapping[str, str]


def folded(program: Program, params: Params) -> Folded:
    """A valid program that computes in evaluation what this one does."""
    shapes = infer_shapes(program).shapes
    into, refused = {}, {}
    order = [name for group in components(program) for name in group.nodes]
    for name in order:  # a second one behind the first finds the layer that the first became part of
        if not isinstance(program.nodes[name], BatchNorm):
            continue
        try:
            layer = _layer_before(program, name, shapes)
            program, params = _without(program, params, name, layer)
            into[name] = layer
        except ExportError as error:
            (refused[name],) = error.reasons
    return Folded(program, params, into, refused)


def _layer_before(program: Program, name: str, shapes: Mapping[str, Shape]) -> str:
    """The layer that a batch norm can become part of."""
    op = program.nodes[name]
    assert isinstance(op, BatchNorm)
    kind = type(op).__name__
    if op.time_steps is not None:
        raise _refusal(f"{kind} with parameters for every step", "train with one set for all steps")
    way = "put it directly behind a Linear, Conv1d or Conv2d that feeds nothing else"
    arriving = program.into(name, "x")
    if len(arriving) != 1 or arriving[0].delay:
        what = "late" if len(arriving) == 1 else f"from {len(arriving)} nodes"
        raise _refusal(f"{kind} of what arrives {what}", way)
    source = arriving[0].source.node
    before = program.nodes[source]
    if not isinstance(before, WEIGHTED):
        raise _refusal(f"{kind} behind '{source}', a {type(before).__name__}", way)
    if len(shapes[arriving[0].src]) != 1 and isinstance(before, Linear):
        raise _refusal(f"{kind} behind '{source}', a Linear whose outputs are the last of several axes", way)
    others = sorted({edge.target.node for edge in program.edges if edge.source.node == source} - {name})
    if others:
        raise _refusal(f"{kind} behind '{source}', which {', '.join(others)} reads too", way)
    return source


def _refusal(what: str, way: str) -> ExportError:
    return ExportError([f"NIR has no form for {what}; {way}"])


def _without(program: Program, params: Params, name: str, layer: str) -> tuple[Program, Params]:
    """The program with a batch norm as part of the layer before it, whose weights get keys of their own:
    others may be tied to those it had."""
    norm, op = program.nodes[name], program.nodes[layer]
    assert isinstance(norm, BatchNorm)
    assert isinstance(op, WEIGHTED)
    own = {param: params[key] for param, key in program.param_keys(layer).items()}
    found = _scaled(own, {param: params[key] for param, key in program.param_keys(name).items()}, norm.eps)
    if not all(np.isfinite(array).all() for array in found.values()):
        least = float(params[program.param_keys(name)["running_var"]].min())
        raise ExportError(
            [f"folded into '{layer}' it is not finite: the least running variance is {least:g}; train on"]
        )
    space = unused(f"{layer}.folded", program.nodes)
    keys = {param: f"{space}.{param}" for param in found}
    nodes = {**program.nodes, layer: replace(op, bias=True, keys=FrozenMap(keys))}
    del nodes[name]
    edges = [
        replace(edge, src=f"{layer}.y") if edge.source.node == name else edge
        for edge in program.edges
        if edge.target.node != name
    ]
    alone = Program(FrozenMap(nodes), tuple(edges), program.time)
    kept = {**params, **{keys[param]: array for param, array in found.items()}}
    left = alone.params()
    return (
        replace(alone, trainable=program.trainable & left.keys()),
        {key: array for key, array in kept.items() if key in left},
    )


def _scaled(layer: Mapping[str, Array], norm: Mapping[str, Array], eps: float) -> dict[str, Array]:
    """Weight and bias of both together."""
    weight = np.asarray(layer["weight"])
    real = {param: np.asarray(array, np.float64) for param, array in norm.items()}
    with np.errstate(invalid="ignore", divide="ignore"):  # judged by the caller
        scale = real.get("weight", np.ones(())) / np.sqrt(real["running_var"] + eps)
    bias = (layer.get("bias", np.zeros(())) - real["running_mean"]) * scale + real.get("bias", np.zeros(()))
    rows = scale.reshape(-1, *[1] * (weight.ndim - 1))
    return {"weight": (weight * rows).astype(weight.dtype), "bias": bias.astype(weight.dtype)}
