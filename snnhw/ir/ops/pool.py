"""Pooling. Channels first; windows that do not fit are dropped, as in torch's default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import ClassVar

from snnhw.errors import ProgramError
from snnhw.ir.expr import var
from snnhw.ir.frozen import FrozenMap
from snnhw.ir.ops.base import Op, Parts, Shape, chain, need, op
from snnhw.ir.ops.neuron import Pointwise
from snnhw.ir.ops.shape import Reshape, summed
from snnhw.ir.ops.window import Sizes, fill, places, seen, space

__all__ = ["AvgPool1d", "AvgPool2d", "MaxPool1d", "MaxPool2d", "SumPool1d", "SumPool2d"]


@dataclass(frozen=True)
class _Pool(Op):
    """What all of them have; ``rank`` is how many axes the window moves along."""

    rank: ClassVar[int]

    kernel: Sizes
    stride: Sizes
    padding: Sizes = ()

    def check(self) -> None:
        fill(self, self.rank, "kernel")
        fill(self, self.rank, "stride")
        fill(self, self.rank, "padding", least=0, usual=0)
        small = all(2 * pad <= size for pad, size in zip(self.padding, self.kernel, strict=True))
        need(self, small, "padding", "at most half the kernel")

    def infer(self, shapes: Mapping[str, Shape]) -> Mapping[str, Shape]:
        x = shapes["x"]
        sizes = places(space(self, self.rank, x), self.kernel, self.stride, self.padding, (1,) * self.rank)
        if min(sizes) < 1:
            raise ProgramError(f"{type(self).__name__}'s window {self.kernel} is larger than its input {x}")
        return {"y": (x[0], *sizes)}

    def summary(self) -> str:
        padding = f", padding={self.padding}" if any(self.padding) else ""
        return f"{type(self).__name__}({self.kernel}, stride={self.stride}{padding})"


class _Sums(_Pool):
    """Those that add up: one axis after the other."""

    def _sums(self, x: Shape) -> list[Op]:
        found: list[Op] = []
        for axis, (kernel, stride, padding) in enumerate(
            zip(self.kernel, self.stride, self.padding, strict=True), 1
        ):
            x, ops = summed(x, axis, seen(x[axis], kernel, stride, padding))
            found += ops
        return found


class _SumPool(_Sums):
    def parts(self, shapes: Mapping[str, Shape]) -> Parts:
        return chain(*self._sums(shapes["x"]))


class _AvgPool(_Sums):
    def parts(self, shapes: Mapping[str, Shape]) -> Parts:
        mean = Pointwise(FrozenMap({"y": var("x") / float(prod(self.kernel))}))
        return chain(*self._sums(shapes["x"]), mean)


@op
@dataclass(frozen=True)
class MaxPool1d(_Pool):
    """The largest of each window over ``[C, L]``; otherwise as `MaxPool2d`."""

    rank: ClassVar[int] = 1

    def parts(self, shapes: Mapping[str, Shape]) -> Parts:
        channels, length = shapes["x"]
        pool = MaxPool2d((1, *self.kernel), (1, *self.stride), (0, *self.padding))
        return chain(Reshape((channels, 1, length)), pool, Reshape(self.infer(shapes)["y"]))


@op
@dataclass(frozen=True)
class MaxPool2d(_Pool):
    """The largest of each window; padding counts as minus infinity. At a tie the gradient goes to the
    first of the window, in row-major order."""

    rank: ClassVar[int] = 2


@op
@dataclass(frozen=True)
class AvgPool1d(_AvgPool):
    """The mean of each window over ``[C, L]``; padding counts as zeros."""

    rank: ClassVar[int] = 1


@op
@dataclass(frozen=True)
class AvgPool2d(_AvgPool):
    """The mean of each window; padding counts as zeros."""

    rank: ClassVar[int] = 2


@op
@dataclass(frozen=True)
class SumPool1d(_SumPool):
    """The sum of each window over ``[C, L]``."""

    rank: ClassVar[int] = 1


@op
@dataclass(frozen=True)
class SumPool2d(_SumPool):
    """The sum of each window: of spikes, their number."""

    rank: ClassVar[int] = 2
