"""Convolutions. Channels first, as in torch; cross-correlation, zero padding."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import ClassVar

from snnhw.errors import ProgramError
from snnhw.ir.ops.base import Op, Shape, is_size, need, op
from snnhw.ir.ops.window import Sizes, fill, places, space
from snnhw.ir.params import ParamSpec

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d"]

USUAL: Mapping[str, int] = {"stride": 1, "padding": 0, "dilation": 1, "output_padding": 0}
"""Attribute -> its value along every axis when it is left out."""


@dataclass(frozen=True)
class _Convolution(Op):
    """What all of them have.

    Attributes:
        rank: how many axes the kernel moves along.
        kernel, stride, padding, dilation: one number per axis.
    """

    rank: ClassVar[int]

    in_channels: int
    out_channels: int
    kernel: Sizes
    stride: Sizes = ()
    padding: Sizes = ()
    dilation: Sizes = ()
    groups: int = 1
    bias: bool = True

    def check(self) -> None:
        need(self, is_size(self.in_channels), "in_channels", "a positive integer")
        need(self, is_size(self.out_channels), "out_channels", "a positive integer")
        fill(self, self.rank, "kernel")
        for name, usual in USUAL.items():
            if hasattr(self, name):
                fill(self, self.rank, name, least=usual, usual=usual)
        channels = (self.in_channels, self.out_channels)
        divides = is_size(self.groups) and not any(count % self.groups for count in channels)
        need(self, divides, "groups", "a positive integer that divides both numbers of channels")

    @property
    @abstractmethod
    def channels(self) -> tuple[int, int]:
        """The first two axes of the weight."""

    def params(self) -> Mapping[str, ParamSpec]:
        fan_in = self.channels[1] * prod(self.kernel)
        weight = ParamSpec((*self.channels, *self.kernel), fan_in=fan_in)
        bias = ParamSpec((self.out_channels,), fan_in=fan_in)
        return {"weight": weight, "bias": bias} if self.bias else {"weight": weight}

    def summary(self) -> str:
        usual = {name: (value,) * self.rank for name, value in USUAL.items()} | {"groups": 1, "bias": True}
        given = {name: getattr(self, name) for name in usual if hasattr(self, name)}
        extra = [f"{name}={value}" for name, value in given.items() if value != usual[name]]
        sizes = f"{self.in_channels}, {self.out_channels}, {self.kernel}"
        return f"{type(self).__name__}({', '.join([sizes, *extra])})"


class _Conv(_Convolution):
    @property
    def channels(self) -> tuple[int, int]:
        return self.out_channels, self.in_channels // self.groups

    def infer(self, shapes: Mapping[str, Shape]) -> Mapping[str, Shape]:
        x = space(self, self.rank, shapes["x"], self.in_channels)
        sizes = places(x, self.kernel, self.stride, self.padding, self.dilation)
        if min(sizes) < 1:
            raise ProgramError(
                f"{type(self).__name__}'s kernel {self.kernel} is larger than its padded input {shapes['x']}"
            )
        return {"y": (self.out_channels, *sizes)}


@op
@dataclass(frozen=True)
class Conv1d(_Conv):
    """Convolution over ``[C, L]``; W is ``[out_channels, in_channels / groups, *kernel]``."""

    rank: ClassVar[int] = 1


@op
@dataclass(frozen=True)
class Conv2d(_Conv):
    """Convolution over ``[C, H, W]``; W is ``[out_channels, in_channels / groups, *kernel]``."""

    rank: ClassVar[int] = 2


@op
@dataclass(frozen=True)
class Conv3d(_Conv):
    """Convolution over ``[C, D, H, W]``; W is ``[out_channels, in_channels / groups, *kernel]``."""

    rank: ClassVar[int] = 3


@dataclass(frozen=True)
class _ConvTranspose(_Convolution):
    """The transpose of a convolution's matrix: every input adds its multiple of the kernel where a
    convolution with the same attributes would have looked. ``output_padding`` makes the output longer at
    its end, where a stride leaves its length open."""

    output_padding: Sizes = ()

    def check(self) -> None:
        super().check()
        most = [max(pair) for pair in zip(self.stride, self.dilation, strict=True)]
        short = all(pad < limit for pad, limit in zip(self.output_padding, most, strict=True))
        need(self, short, "output_padding", "less than the stride or the dilation")

    @property
    def channels(self) -> tuple[int, int]:
        return self.in_channels, self.out_channels // self.groups

    def infer(self, shapes: Mapping[str, Shape]) -> Mapping[str, Shape]:
        x = space(self, self.rank, shapes["x"], self.in_channels)
        axes = zip(x, self.kernel, self.stride, self.padding, self.dilation, self.output_padding, strict=True)
        sizes = tuple(
            (size - 1) * step - 2 * pad + spread * (width - 1) + more + 1
            for size, width, step, pad, spread, more in axes
        )
        if min(sizes) < 1:
            raise ProgramError(f"{self.summary()} leaves nothing of an input of shape {shapes['x']}")
        return {"y": (self.out_channels, *sizes)}


@op
@dataclass(frozen=True)
class ConvTranspose1d(_ConvTranspose):
    """Transposed convolution over ``[C, L]``; W is ``[in_channels, out_channels / groups, *kernel]``."""

    rank: ClassVar[int] = 1


@op
@dataclass(frozen=True)
class ConvTranspose2d(_ConvTranspose):
    """Transposed convolution over ``[C, H, W]``; W is ``[in_channels, out_channels / groups, *kernel]``."""

    rank: ClassVar[int] = 2
