"""Pooling. Channels first; windows that do not fit are dropped, as in torch's default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from snnhw.errors import ProgramError
from snnhw.ir.ops.base import Op, Shape, need, op
from snnhw.ir.ops.window import Sizes, fill, places, space

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


@op
@dataclass(frozen=True)
class MaxPool1d(_Pool):
    """The largest of each window over ``[C, L]``; otherwise as `MaxPool2d`."""

    rank: ClassVar[int] = 1


@op
@dataclass(frozen=True)
class MaxPool2d(_Pool):
    """The largest of each window; padding counts as minus infinity. At a tie the gradient goes to the
    first of the window, in row-major order."""

    rank: ClassVar[int] = 2


@op
@dataclass(frozen=True)
class AvgPool1d(_Pool):
    """The mean of each window over ``[C, L]``; padding counts as zeros."""

    rank: ClassVar[int] = 1


@op
@dataclass(frozen=True)
class AvgPool2d(_Pool):
    """The mean of each window; padding counts as zeros."""

    rank: ClassVar[int] = 2


@op
@dataclass(frozen=True)
class SumPool1d(_Pool):
    """The sum of each window over ``[C, L]``."""

    rank: ClassVar[int] = 1


@op
@dataclass(frozen=True)
class SumPool2d(_Pool):
    """The sum of each window: of spikes, their number."""

    rank: ClassVar[int] = 2
