"""Stateless ops on torch tensors: a table from op to function over folded rows ``[M, ...]``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional as F

from snnhw.ir import (
    Add,
    AvgPool1d,
    AvgPool2d,
    Concat,
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    Flatten,
    Gather,
    LayerNorm,
    Linear,
    MatMul,
    MaxPool1d,
    MaxPool2d,
    Op,
    Parameter,
    Reshape,
    RoundedLinear,
    SaturatingLinear,
    Scale,
    Slice,
    Sum,
    SumPool1d,
    SumPool2d,
    Table,
    Unflatten,
    Upsample,
    WinnerTakeAll,
)
from snnhw.ir.ops.base import PARTS
from snnhw.tensors.autograd import graft

__all__ = ["MOVING", "OPERATIONS", "Operation", "on_grid"]

Tensors = Mapping[str, Tensor]

Operation = Callable[[Any, Tensors, Tensors], Tensor]
"""``(op, input ports by name [M, ...], parameters by name) -> y [M, ...]``."""


def _alone(function: Callable[[Any, Tensor], Tensor]) -> Operation:
    """An op with one input and no parameters."""
    return lambda op, xs, _: function(op, xs["x"])


def _convolution(function: Callable[..., Tensor]) -> Operation:
    return lambda op, xs, params: function(
        xs["x"], params["weight"], params.get("bias"), op.stride, op.padding, op.dilation, op.groups
    )


def _transposed(function: Callable[..., Tensor]) -> Operation:
    return lambda op, xs, params: function(
        xs["x"],
        params["weight"],
        params.get("bias"),
        stride=op.stride,
        padding=op.padding,
        output_padding=op.output_padding,
        groups=op.groups,
        dilation=op.dilation,
    )


def _pool(function: Callable[..., Tensor]) -> Operation:
    return _alone(lambda op, x: function(x, op.kernel, op.stride, op.padding))


def _sum_pool2d(op: SumPool2d, x: Tensor) -> Tensor:
    return F.avg_pool2d(x, op.kernel, op.stride, op.padding, divisor_override=1)


def _sum_pool1d(op: SumPool1d, x: Tensor) -> Tensor:
    """As an image of one row: torch has no divisor for one axis."""
    (kernel,), (stride,), (padding,) = op.kernel, op.stride, op.padding
    flat = SumPool2d((1, kernel), (1, stride), (0, padding))
    return _sum_pool2d(flat, x.unsqueeze(-2)).squeeze(-2)


def _upsample(op: Upsample, x: Tensor) -> Tensor:
    factors = [float(factor) for factor in op.scale]
    if op.mode == "nearest":  # torch's own "nearest" rounds the place, and may miss it by one
        return F.interpolate(x, scale_factor=factors, mode="nearest-exact")
    mode = ("linear", "bilinear", "trilinear")[len(factors) - 1]
    return F.interpolate(x, scale_factor=factors, mode=mode, align_corners=False)


def _gather(op: Gather, x: Tensor) -> Tensor:
    """Where a place is -1, zeros stand in front of the others."""
    index = torch.tensor(op.index, device=x.device)
    if -1 not in op.index:
        return x.index_select(op.axis + 1, index)
    zeros = torch.zeros_like(x.narrow(op.axis + 1, 0, 1))
    return torch.cat([zeros, x], op.axis + 1).index_select(op.axis + 1, index + 1)


def _winner(op: WinnerTakeAll, x: Tensor) -> Tensor:
    axis = op.axis + 1 if op.axis >= 0 else -1
    return torch.zeros_like(x).scatter(axis, x.argmax(axis, keepdim=True), 1.0)


def _concat(op: Concat, xs: Tensors, _: Tensors) -> Tensor:
    return torch.cat([xs[port] for port in op.in_ports], op.axis + 1)


def _layer_norm(op: LayerNorm, xs: Tensors, params: Tensors) -> Tensor:
    return F.layer_norm(xs["x"], op.shape, params.get("weight"), params.get("bias"), op.eps)


def on_grid(op: RoundedLinear, params: Tensors) -> tuple[Tensor, Tensor]:
    """Its weight, rounded; and the weight's derivative, 1 within the grid and 0 beyond."""
    weight, scale = params["weight"].detach(), params["scale"].detach()
    wanted = weight * scale
    whole = (op.step * (wanted / op.step + 0.5).floor()).clamp(op.low, op.high)
    return whole / scale, ((wanted >= op.low) & (wanted <= op.high)).to(weight.dtype)


def _rounded(op: RoundedLinear, xs: Tensors, params: Tensors) -> Tensor:
    weight, slope = on_grid(op, params)
    return F.linear(xs["x"], graft(weight, params["weight"], slope))


def _saturating(op: SaturatingLinear, xs: Tensors, params: Tensors) -> Tensor:
    """One input after the other, as the order counts."""
    y, half = xs["start"], 1 << (op.bits - 1)
    for x, row in zip(xs["x"].unbind(1), params["weight"].unbind(1), strict=True):
        y = (y + x[:, None] * row).clamp(-half, half - 1)
    return y


_OPERATIONS: Final[Mapping[type[Op], Operation]] = {
    RoundedLinear: _rounded,
    SaturatingLinear: _saturating,
    Linear: lambda op, xs, params: F.linear(xs["x"], params["weight"], params.get("bias")),
    Conv1d: _convolution(F.conv1d),
    Conv2d: _convolution(F.conv2d),
    Conv3d: _convolution(F.conv3d),
    ConvTranspose1d: _transposed(F.conv_transpose1d),
    ConvTranspose2d: _transposed(F.conv_transpose2d),
    MaxPool1d: _pool(F.max_pool1d),
    MaxPool2d: _pool(F.max_pool2d),
    AvgPool1d: _pool(F.avg_pool1d),
    AvgPool2d: _pool(F.avg_pool2d),
    SumPool1d: _alone(_sum_pool1d),
    SumPool2d: _alone(_sum_pool2d),
    Upsample: _alone(_upsample),
    Flatten: _alone(lambda op, x: x.flatten(op.start + 1, -1 if op.end < 0 else op.end + 1)),
    Unflatten: _alone(lambda op, x: x.reshape(-1, *op.infer({"x": tuple(x.shape[1:])})["y"])),
    Reshape: _alone(lambda op, x: x.reshape(-1, *op.shape)),
    Gather: _alone(_gather),
    Sum: _alone(lambda op, x: x.sum(op.axis + 1 if op.axis >= 0 else -1)),
    Parameter: lambda op, xs, params: params["value"].expand(len(xs["x"]), *op.shape),
    Slice: _alone(lambda op, x: x.narrow(op.axis + 1, op.start, op.stop - op.start)),
    Concat: _concat,
    Add: _alone(lambda op, x: x),  # edges into one port add up before they arrive
    Scale: lambda op, xs, params: xs["x"] * params["weight"],
    LayerNorm: _layer_norm,
    MatMul: lambda op, xs, _: xs["a"] @ xs["b"],
    WinnerTakeAll: _alone(_winner),
}

MOVING: Final = frozenset(
    {Add, Concat, Flatten, Gather, MaxPool1d, MaxPool2d, Reshape, Slice, Unflatten, WinnerTakeAll}
)
"""Ops whose results are numbers that they read, 0 or 1, of whatever dtype: they round nothing."""

OPERATIONS: Final = Table("snnhw.tensors.network.OPERATIONS", _OPERATIONS, otherwise=PARTS)
"""Op type -> its function. Ops that are not here are the schedule's own: inputs, outputs, pointwise nodes."""
