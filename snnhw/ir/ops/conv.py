"""Convolutions. Channels first, as in torch; cross-correlation, zero padding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from snnhw.errors import ProgramError
from snnhw.ir.ops.base import Op, Shape, is_pair, is_size, need, op
from snnhw.ir.params import ParamSpec

__all__ = ["Conv2d"]

Pair = tuple[int, int]


def window(size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> int:
    """How many positions a window has along one axis (torch's formula, rounding down)."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


@op
@dataclass(frozen=True)
class Conv2d(Op):
    """Two-dimensional convolution; W is ``[out_channels, in_channels / groups, *kernel]``."""

    in_channels: int
    out_channels: int
    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    bias: bool = True

    def check(self) -> None:
        need(self, is_size(self.in_channels), "in_channels", "a positive integer")
        need(self, is_size(self.out_channels), "out_channels", "a positive integer")
        for name in ("kernel", "stride", "dilation"):
            need(self, is_pair(getattr(self, name)), name, "a pair of positive integers")
        need(self, is_pair(self.padding, 0), "padding", "a pair of integers, 0 or more")
        channels = (self.in_channels, self.out_channels)
        divides = is_size(self.groups) and not any(count % self.groups for count in channels)
        need(self, divides, "groups", "a positive integer that divides both numbers of channels")

    def params(self) -> Mapping[str, ParamSpec]:
        per_group = self.in_channels // self.groups
        fan_in = per_group * self.kernel[0] * self.kernel[1]
        weight = ParamSpec((self.out_channels, per_group, *self.kernel), fan_in=fan_in)
        bias = ParamSpec((self.out_channels,), fan_in=fan_in)
        return {"weight": weight, "bias": bias} if self.bias else {"weight": weight}

    def infer(self, shapes: Mapping[str, Shape]) -> Mapping[str, Shape]:
        x = shapes["x"]
        if len(x) != 3 or x[0] != self.in_channels:
            raise ProgramError(f"Conv2d takes ({self.in_channels}, height, width), not {x}")
        axes = zip(x[1:], self.kernel, self.stride, self.padding, self.dilation, strict=True)
        sizes = tuple(window(*axis) for axis in axes)
        if min(sizes) < 1:
            raise ProgramError(f"Conv2d's kernel {self.kernel} is larger than its padded input {x}")
        return {"y": (self.out_channels, *sizes)}

    def summary(self) -> str:
        usual = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1, "bias": True}
        given = {name: getattr(self, name) for name in usual}
        extra = [f"{name}={value}" for name, value in given.items() if value != usual[name]]
        return f"Conv2d({', '.join([f'{self.in_channels}, {self.out_channels}, {self.kernel}', *extra])})"
