"""Stateless ops on torch tensors: a table from op to function over folded rows ``[M, ...]``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from torch import Tensor
from torch.nn import functional as F

from snnhw.ir import Add, AvgPool2d, Conv2d, Flatten, Linear, MaxPool2d, Op

__all__ = ["LAYERS", "Layer"]

Layer = Callable[[Any, Tensor, Mapping[str, Tensor]], Tensor]
"""``(op, x [M, ...], parameters by name) -> y [M, ...]``."""


def _linear(op: Linear, x: Tensor, params: Mapping[str, Tensor]) -> Tensor:
    return F.linear(x, params["weight"], params.get("bias"))


def _conv2d(op: Conv2d, x: Tensor, params: Mapping[str, Tensor]) -> Tensor:
    return F.conv2d(
        x, params["weight"], params.get("bias"), op.stride, op.padding, op.dilation, op.groups
    )


def _max_pool2d(op: MaxPool2d, x: Tensor, params: Mapping[str, Tensor]) -> Tensor:
    return F.max_pool2d(x, op.kernel, op.stride, op.padding)


def _avg_pool2d(op: AvgPool2d, x: Tensor, params: Mapping[str, Tensor]) -> Tensor:
    return F.avg_pool2d(x, op.kernel, op.stride, op.padding)


def _flatten(op: Flatten, x: Tensor, params: Mapping[str, Tensor]) -> Tensor:
    return x.flatten(op.start + 1, op.end + 1 if op.end >= 0 else -1)


def _add(op: Add, x: Tensor, params: Mapping[str, Tensor]) -> Tensor:
    return x


LAYERS: Final[Mapping[type[Op], Layer]] = {
    Linear: _linear,
    Conv2d: _conv2d,
    MaxPool2d: _max_pool2d,
    AvgPool2d: _avg_pool2d,
    Flatten: _flatten,
    Add: _add,
}
