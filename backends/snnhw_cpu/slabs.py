"""Convolutions over many steps at once, slab by slab.

Folded over time, a convolution is one over thousands of images, for which oneDNN would hold a second copy of
the result in its own layout. A slab's fits the cache; its backward pass reads nothing but input and weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from snnhw.ir import Conv2d
from snnhw_cpu.memory import room

__all__ = ["SLAB", "convolution"]

SLAB: Final = 4 << 20
"""Bytes of the result that are computed at once."""


def convolution(op: Conv2d, xs: Mapping[str, Tensor], params: Mapping[str, Tensor]) -> Tensor:
    """``[M, C, H, W]`` -> ``[M, O, h, w]``. Sums over M in the gradient of the weight are slab by slab."""
    x, weight, bias = xs["x"], params["weight"], params.get("bias")
    shape = op.infer({"x": tuple(x.shape[1:])})["y"]
    rows = max(1, SLAB // (prod(shape) * x.element_size()))
    if len(x) <= 2 * rows:
        return F.conv2d(x, weight, bias, op.stride, op.padding, op.dilation, op.groups)
    found: Tensor = _Slabs.apply(_How(op, rows, shape), x, weight, bias)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return found


def _parts(x: Tensor, rows: int) -> list[Tensor]:
    return [x[first : first + rows] for first in range(0, len(x), rows)]


class _How(NamedTuple):
    """A convolution, the rows of a slab, and the shape of one result."""

    op: Conv2d
    rows: int
    shape: tuple[int, ...]


class _Slabs(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, how: _How, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        op, rows, shape = ctx.how = how
        ctx.save_for_backward(x, weight)
        y = room(len(x), *shape, dtype=x.dtype)
        for part, to in zip(_parts(x, rows), _parts(y, rows), strict=True):
            to.copy_(F.conv2d(part, weight, bias, op.stride, op.padding, op.dilation, op.groups))
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        (op, rows, _), wanted = ctx.how, ctx.needs_input_grad[1:]
        d_x = room(*x.shape, dtype=x.dtype) if wanted[0] else None
        sums: list[Tensor | None] = [None, None]
        for place, (part, arriving) in enumerate(zip(_parts(x, rows), _parts(grad, rows), strict=True)):
            given, *others = torch.ops.aten.convolution_backward(
                arriving,
                part,
                weight,
                [len(weight)] if wanted[2] else None,
                op.stride,
                op.padding,
                op.dilation,
                False,  # not transposed
                [0, 0],
                op.groups,
                wanted,
            )
            if d_x is not None:
                d_x[place * rows :][: len(part)] = given
            sums = [
                other if total is None else total.add_(other)
                for total, other in zip(sums, others, strict=True)
            ]
        return None, d_x, *sums
