"""Convolutions. Channels first, as in torch; cross-correlation, zero padding."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import ClassVar

from snnhw.errors import ProgramError
from snnhw.ir.expr import var
from snnhw.ir.frozen import FrozenMap
from snnhw.ir.ops.across import MatMul, Sum
from snnhw.ir.ops.base import Op, Part, Parts, Shape, is_size, need, op, part
from snnhw.ir.ops.neuron import Pointwise
from snnhw.ir.ops.parameter import as_signal
from snnhw.ir.ops.shape import Gather, Reshape
from snnhw.ir.ops.window import Sizes, fill, places, seen, space
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

    def parts(self, shapes: Mapping[str, Shape]) -> Parts:
        """A product of matrices for each group: the filters, and what each of their cells sees."""
        (channels, size), (_, length) = shapes["x"], self.infer(shapes)["y"]
        terms = channels // self.groups * self.kernel[0]
        rows = seen(size, self.kernel[0], self.stride[0], self.padding[0], self.dilation[0])
        return {
            "cells": part(Gather(1, _by_cell(rows)), x="x"),
            "columns": part(Reshape((self.groups, terms, length)), x="cells.y"),
            "weight": as_signal(self, "weight"),
            "filters": part(Reshape((self.groups, _channels_of_each(self), terms)), x="weight.y"),
            "product": part(MatMul(), a="filters.y", b="columns.y"),
            **_biased(self, length, "product.y"),
        }


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

    def parts(self, shapes: Mapping[str, Shape]) -> Parts:
        """A product of matrices for each channel that arrives, and their sums over each group."""
        (channels, size), (_, length) = shapes["x"], self.infer(shapes)["y"]
        grouped = (self.groups, channels // self.groups, _channels_of_each(self), length)
        return {
            "cells": part(Gather(1, _by_cell([self._reaching(at, size) for at in range(length)])), x="x"),
            "columns": part(Reshape((channels, self.kernel[0], length)), x="cells.y"),
            "weight": as_signal(self, "weight"),
            "product": part(MatMul(), a="weight.y", b="columns.y"),
            "grouped": part(Reshape(grouped), x="product.y"),
            "sum": part(Sum(1), x="grouped.y"),
            **_biased(self, length, "sum.y"),
        }

    def _reaching(self, at: int, size: int) -> list[int]:
        """For each cell of the kernel, the input that adds its multiple of it at a place; -1: none."""
        (kernel,), (stride,), (padding,), (dilation,) = self.kernel, self.stride, self.padding, self.dilation
        found = [divmod(at + padding - cell * dilation, stride) for cell in range(kernel)]
        return [place if not rest and 0 <= place < size else -1 for place, rest in found]


@op
@dataclass(frozen=True)
class ConvTranspose2d(_ConvTranspose):
    """Transposed convolution over ``[C, H, W]``; W is ``[in_channels, out_channels / groups, *kernel]``."""

    rank: ClassVar[int] = 2


def _channels_of_each(op: _Convolution) -> int:
    """Output channels of each group."""
    return op.out_channels // op.groups


def _by_cell(rows: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Places by position and cell, cell by cell."""
    return tuple(place for cell in zip(*rows, strict=True) for place in cell)


def _biased(op: _Convolution, length: int, product: str) -> dict[str, Part]:
    """The groups' channels in a row, and the bias where there is one."""
    y = part(Reshape((op.out_channels, length)), x=product)
    if not op.bias:
        return {"": y}
    added = Pointwise(FrozenMap({"y": var("x") + var("bias")}), ("x", "bias"))
    column = part(Reshape((op.out_channels, 1)), x="bias.y")
    return {
        "channels": y,
        "bias": as_signal(op, "bias"),
        "column": column,
        "": part(added, x="channels.y", bias="column.y"),
    }
