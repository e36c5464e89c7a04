"""Batch norm by the samples of several ranks: there and back, each adds up what all have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from snnhw.ir import BatchNorm
from snnhw.plugin import Ranks

__all__ = ["normalised_jointly"]


def normalised_jointly(
    op: BatchNorm, rows: Tensor, params: Mapping[str, Tensor], ranks: Ranks
) -> tuple[Tensor, dict[str, Tensor]]:
    """This rank's rows ``[M, C, ...]``, normalised by mean and variance of those of all, and these two."""
    axes = [axis for axis in range(rows.ndim) if axis != 1]

    def spread(vector: Tensor) -> Tensor:
        return vector.view(-1, *[1] * (rows.ndim - 2))

    size = rows.new_tensor([rows.numel() // rows.shape[1]])
    *sums, count = _added(torch.cat([rows.sum(axes), size]), ranks).split([rows.shape[1], 1])
    mean, count = sums[0] / count.detach(), count.detach()
    away = rows - spread(mean)
    variance = _added(away.square().sum(axes), ranks) / count
    y = away * spread((variance + op.eps).rsqrt())
    y = y * spread(params["weight"]) if op.weight else y
    y = y + spread(params["bias"]) if op.bias else y
    unbiased = variance * (count / (count - 1))
    return y, {"running_mean": mean.detach(), "running_var": unbiased.detach()}


def _added(x: Tensor, ranks: Ranks) -> Tensor:
    found: Tensor = _Added.apply(x, ranks)  # type: ignore[no-untyped-call]  # torch's
    return found


class _Added(torch.autograd.Function):
    """A sum over ranks. What each rank's share of the loss says of it, all of it belongs to every summand."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks = ranks
        found: Tensor = ranks.reduce({"x": x})["x"]
        return found

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return ctx.ranks.reduce({"x": grad})["x"], None
