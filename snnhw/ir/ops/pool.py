"""Pooling. Channels first; windows that do not fit are dropped, as in torch's default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from snnhw.errors import ProgramError
from snnhw.ir.ops.base import Op, Shape, is_pair, need, op
from snnhw.ir.ops.conv import Pair, window

__all__ = ["AvgPool2d", "MaxPool2d"]


@dataclass(frozen=True)
class _Pool2d(Op):
    kernel: Pair
    stride: Pair
    padding: Pair = (0, 0)

    def check(self) -> None:
        need(self, is_pair(self.kernel), "kernel", "a pair of positive integers")
        need(self, is_pair(self.stride), "stride", "a pair of positive integers")
        small = is_pair(self.padding, 0) and all(
            2 * pad <= size for pad, size in zip(self.padding, self.kernel, strict=True)
        )
        need(self, small, "padding", "a pair of integers from 0 to half the kernel")

    def infer(self, shapes: Mapping[str, Shape]) -> Mapping[str, Shape]:
        x = shapes["x"]
        if len(x) != 3:
            raise ProgramError(f"{type(self).__name__} takes (channels, height, width), not {x}")
        axes = zip(x[1:], self.kernel, self.stride, self.padding, strict=True)
        sizes = tuple(window(*axis) for axis in axes)
        if min(sizes) < 1:
            raise ProgramError(f"{type(self).__name__}'s window {self.kernel} is larger than its input {x}")
        return {"y": (x[0], *sizes)}

    def summary(self) -> str:
        padding = "" if self.padding == (0, 0) else f", padding={self.padding}"
        return f"{type(self).__name__}({self.kernel}, stride={self.stride}{padding})"


@op
@dataclass(frozen=True)
class MaxPool2d(_Pool2d):
    """The largest of each window; padding counts as minus infinity. At a tie the gradient goes to the
    first of the window, in row-major order."""


@op
@dataclass(frozen=True)
class AvgPool2d(_Pool2d):
    """The mean of each window; padding counts as zeros."""
