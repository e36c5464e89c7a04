"""Ops that move values without computing much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import ClassVar, Final, Literal

from snnhw.errors import ProgramError
from snnhw.ir.ops.base import Op, Shape, is_shape, is_size, need, op
from snnhw.ir.ops.window import space

__all__ = ["Add", "Concat", "Flatten", "Slice", "Unflatten", "Upsample"]

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
class Unflatten(Op):
    """One axis of the sample in several: ``sizes``, whose product is its size."""

    axis: int
    sizes: tuple[int, ...]

    def check(self) -> None:
        need(self, is_size(self.axis, 0), "axis", "an axis of the sample, 0 or more")
        need(self, is_shape(self.sizes) and bool(self.sizes), "sizes", "a tuple of positive integers")

    def infer(self, shapes: Mapping[str, Shape]) -> Mapping[str, Shape]:
        x = shapes["x"]
        if self.axis >= len(x) or x[self.axis] != prod(self.sizes):
            raise ProgramError(f"{self.summary()} does not fit a sample of shape {x}")
        return {"y": (*x[: self.axis], *self.sizes, *x[self.axis + 1 :])}

    def summary(self) -> str:
        return f"Unflatten({self.axis}, {self.sizes})"


@op
@dataclass(frozen=True)
class Slice(Op):
    """What lies from ``start`` to before ``stop`` along an axis of the sample."""

    axis: int
    start: int
    stop: int

    def check(self) -> None:
        need(self, is_size(self.axis, 0), "axis", "an axis of the sample, 0 or more")
        need(self, is_size(self.start, 0), "start", "a place on it, 0 or more")
        need(self, is_size(self.stop, self.start + 1), "stop", f"a place behind start={self.start}")

    def infer(self, shapes: Mapping[str, Shape]) -> Mapping[str, Shape]:
        x = shapes["x"]
        if self.axis >= len(x) or self.stop > x[self.axis]:
            raise ProgramError(f"{self.summary()} does not fit a sample of shape {x}")
        return {"y": (*x[: self.axis], self.stop - self.start, *x[self.axis + 1 :])}

    def summary(self) -> str:
        return f"Slice({self.axis}, {self.start}:{self.stop})"


@op
@dataclass(frozen=True)
class Upsample(Op):
    """Every axis after the channels made longer by a whole factor.

    Attributes:
        scale: a factor for each of them, one to three.
        mode: ``nearest`` repeats values; ``linear`` interpolates between them along every axis (torch's
            linear, bilinear and trilinear, with ``align_corners=False``): values stand at the middle of
            their cells, and go on unchanged beyond the outermost.
    """

    scale: tuple[int, ...]
    mode: Literal["nearest", "linear"] = "nearest"

    def check(self) -> None:
        sound = is_shape(self.scale) and 1 <= len(self.scale) <= 3
        need(self, sound, "scale", "a tuple of one to three positive integers")
        need(self, self.mode in ("nearest", "linear"), "mode", "'nearest' or 'linear'")

    def infer(self, shapes: Mapping[str, Shape]) -> Mapping[str, Shape]:
        sizes = space(self, len(self.scale), shapes["x"])
        longer = (size * factor for size, factor in zip(sizes, self.scale, strict=True))
        return {"y": (shapes["x"][0], *longer)}

    def summary(self) -> str:
        return f"Upsample({self.scale}, {self.mode})"


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
