"""Stateless ops on torch tensors: a table from op to function over folded rows ``[M, ...]``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional as F

from snnhw.ir import Add, AvgPool2d, Concat, Conv2d, Flatten, Linear, MaxPool2d, Op

__all__ = ["OPERATIONS", "Operation"]

Tensors = Mapping[str, Tensor]

Operation = Callable[[Any, Tensors, Tensors], Tensor]
"""``(op, input ports by name [M, ...], parameters by name) -> y [M, ...]``."""


def _conv2d(op: Conv2d, xs: Tensors, params: Tensors) -> Tensor:
    return F.conv2d(
        xs["x"], params["weight"], params.get("bias"), op.stride, op.padding, op.dilation, op.groups
    )


def _concat(op: Concat, xs: Tensors, _: Tensors) -> Tensor:
    return torch.cat([xs[port] for port in op.in_ports], op.axis + 1)


def _alone(function: Callable[[Any, Tensor], Tensor]) -> Operation:
    """An op with one input and no parameters."""
    return lambda op, xs, _: function(op, xs["x"])


OPERATIONS: Final[Mapping[type[Op], Operation]] = {
    Linear: lambda op, xs, params: F.linear(xs["x"], params["weight"], params.get("bias")),
    Conv2d: _conv2d,
    MaxPool2d: _alone(lambda op, x: F.max_pool2d(x, op.kernel, op.stride, op.padding)),
    AvgPool2d: _alone(lambda op, x: F.avg_pool2d(x, op.kernel, op.stride, op.padding)),
    Flatten: _alone(lambda op, x: x.flatten(op.start + 1, -1 if op.end < 0 else op.end + 1)),
    Add: _alone(lambda op, x: x),  # edges into one port add up before they arrive
    Concat: _concat,
}
"""Op type -> its function. Ops that are not here are the schedule's own: inputs, outputs, pointwise nodes."""
