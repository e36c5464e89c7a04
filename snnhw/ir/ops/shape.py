"""Ops that move values without computing much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from snnhw.errors import ProgramError
from snnhw.ir.ops.base import Op, Shape, is_size, need, op

__all__ = ["Add", "Flatten"]


@op
@dataclass(frozen=True)
class Flatten(Op):
    """Axes ``start`` to ``end`` (inclusive; of one sample, so 0 is the first after the batch) in one."""

    start: int = 0
    end: int = -1

    def check(self) -> None:
        need(self, is_size(self.start, 0), "start", "an axis of the sample, 0 or more")
        need(self, is_size(self.end, -1), "end", "an axis of the sample, or -1 for the last")

    def infer(self, shapes: Mapping[str, Shape]) -> Mapping[str, Shape]:
        x = shapes["x"]
        end = len(x) - 1 if self.end == -1 else self.end
        if not self.start <= end < len(x):
            axes = f"start={self.start}, end={self.end}"
            raise ProgramError(f"Flatten({axes}) does not fit a sample of shape {x}")
        return {"y": (*x[: self.start], prod(x[self.start : end + 1]), *x[end + 1 :])}

    def summary(self) -> str:
        return "Flatten" if (self.start, self.end) == (0, -1) else f"Flatten({self.start}, {self.end})"


@op
@dataclass(frozen=True)
class Add(Op):
    """The sum of the edges that arrive, left to right in listed order: any port does that, so a node
    of this kind only gives the sum a name."""

    def infer(self, shapes: Mapping[str, Shape]) -> Mapping[str, Shape]:
        return {"y": shapes["x"]}
