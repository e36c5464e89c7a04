"""Stateless ops on torch tensors: a table from op to function over folded rows ``[M, ...]``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from torch import Tensor
from torch.nn import functional as F

from snnhw.ir import Add, AvgPool2d, Conv2d, Flatten, Linear, MaxPool2d, Op

__all__ = ["OPERATIONS", "Operation"]

Operation = Callable[[Any, Tensor, Mapping[str, Tensor]], Tensor]
"""``(op, x [M, ...], parameters by name) -> y [M, ...]``."""


def _conv2d(op: Conv2d, x: Tensor, params: Mapping[str, Tensor]) -> Tensor:
    bias = params.get("bias")
    return F.conv2d(x, params["weight"], bias, op.stride, op.padding, op.dilation, op.groups)


OPERATIONS: Final[Mapping[type[Op], Operation]] = {
    Linear: lambda op, x, params: F.linear(x, params["weight"], params.get("bias")),
    Conv2d: _conv2d,
    MaxPool2d: lambda op, x, params: F.max_pool2d(x, op.kernel, op.stride, op.padding),
    AvgPool2d: lambda op, x, params: F.avg_pool2d(x, op.kernel, op.stride, op.padding),
    Flatten: lambda op, x, params: x.flatten(op.start + 1, -1 if op.end < 0 else op.end + 1),
    Add: lambda op, x, params: x,  # edges into one port add up before they arrive
}
"""Op type -> its function. Ops that are not here are the schedule's own: inputs, outputs, pointwise nodes."""
