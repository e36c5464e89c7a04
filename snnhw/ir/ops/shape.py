"""Ops that move values without computing much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import ClassVar, Final

from snnhw.errors import ProgramError
from snnhw.ir.ops.base import Op, Shape, is_size, need, op

__all__ = ["Add", "Concat", "Flatten"]

MAX_PARTS: Final = 1024


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
class Concat(Op):
    """Its inputs ``x0``, ``x1``, ... side by side along one axis of the sample.

    Attributes:
        axis: 0 is the first after the batch.
        sizes: size of each input along it. They are said here, so that any one input tells the shape of
            the output: another may come from a loop through it.
    """

    any_port_tells: ClassVar[bool] = True

    axis: int
    sizes: tuple[int, ...]

    def check(self) -> None:
        need(self, is_size(self.axis, 0), "axis", "an axis of the sample, 0 or more")
        parts = isinstance(self.sizes, tuple) and 1 <= len(self.sizes) <= MAX_PARTS
        sound = parts and all(map(is_size, self.sizes))
        need(self, sound, "sizes", f"a tuple of positive integers, one per input, at most {MAX_PARTS}")

    @property
    def in_ports(self) -> tuple[str, ...]:
        return tuple(f"x{number}" for number in range(len(self.sizes)))

    def infer(self, shapes: Mapping[str, Shape]) -> Mapping[str, Shape]:
        found: dict[Shape, str] = {}
        for port, size in zip(self.in_ports, self.sizes, strict=True):
            if port not in shapes:
                continue
            x = shapes[port]
            if self.axis >= len(x) or x[self.axis] != size:
                raise ProgramError(f"{self.summary()} takes {size} along axis {self.axis} at {port}, not {x}")
            found.setdefault((*x[: self.axis], sum(self.sizes), *x[self.axis + 1 :]), port)
        if len(found) > 1:
            listed = ", ".join(f"{port} {shapes[port]}" for port in found.values())
            raise ProgramError(f"{self.summary()} takes inputs alike on all other axes, not {listed}")
        return {"y": next(iter(found))}

    def summary(self) -> str:
        return f"Concat({self.axis}, {self.sizes})"


@op
@dataclass(frozen=True)
class Add(Op):
    """The sum of the edges that arrive, left to right in listed order: any port does that, so a node
    of this kind only gives the sum a name."""

    def infer(self, shapes: Mapping[str, Shape]) -> Mapping[str, Shape]:
        return {"y": shapes["x"]}
