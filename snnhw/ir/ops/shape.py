"""Ops that move values without computing much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import ClassVar, Final, Literal

from snnhw.errors import ProgramError
from snnhw.ir.expr import var
from snnhw.ir.frozen import FrozenMap
from snnhw.ir.ops.across import Sum
from snnhw.ir.ops.base import Op, Parts, Shape, chain, is_shape, is_size, need, op
from snnhw.ir.ops.neuron import Pointwise
from snnhw.ir.ops.window import space
from snnhw.words import brief

__all__ = ["Add", "Concat", "Flatten", "Gather", "Reshape", "Slice", "Unflatten", "Upsample"]

MAX_PARTS: Final = 1024


@op
@dataclass(frozen=True)
class Reshape(Op):
    """The same values in another shape, row-major.

    Attributes:
        shape: of one sample; ``()`` for a single number.
    """

    shape: Shape

    def check(self) -> None:
        need(self, is_shape(self.shape), "shape", "a tuple of positive integers")

    def infer(self, shapes: Mapping[str, Shape]) -> Mapping[str, Shape]:
        if prod(shapes["x"]) != prod(self.shape):
            raise ProgramError(f"{self.summary()} does not fit a sample of shape {shapes['x']}")
        return {"y": self.shape}

    def summary(self) -> str:
        return f"Reshape({self.shape})"


@op
@dataclass(frozen=True)
class Gather(Op):
    """The values at some places along an axis of the sample, in that order.

    Attributes:
        axis: 0 is the first after the batch.
        index: the places; -1 is none, and gives 0.
    """

    axis: int
    index: tuple[int, ...]

    def check(self) -> None:
        need(self, is_size(self.axis, 0), "axis", "an axis of the sample, 0 or more")
        sound = isinstance(self.index, tuple) and all(is_size(place, -1) for place in self.index)
        need(self, sound and bool(self.index), "index", "a tuple of places, 0 or more, or -1 for a zero")

    def infer(self, shapes: Mapping[str, Shape]) -> Mapping[str, Shape]:
        x = shapes["x"]
        if self.axis >= len(x) or max(self.index) >= x[self.axis]:
            raise ProgramError(f"{self.summary()} does not fit a sample of shape {x}")
        return {"y": (*x[: self.axis], len(self.index), *x[self.axis + 1 :])}

    def summary(self) -> str:
        return f"Gather({self.axis}, {brief(self.index)})"


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

    def parts(self, shapes: Mapping[str, Shape]) -> Parts:
        return chain(Reshape(self.infer(shapes)["y"]))

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

    def parts(self, shapes: Mapping[str, Shape]) -> Parts:
        return chain(Reshape(self.infer(shapes)["y"]))

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

    def parts(self, shapes: Mapping[str, Shape]) -> Parts:  # the same for all of them
        return chain(Gather(self.axis, tuple(range(self.start, self.stop))))

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

    def parts(self, shapes: Mapping[str, Shape]) -> Parts:
        """Nearest: each value several times. Linear by a factor f: every value in 2 f equal pieces, and at
        each new place, of which there are f to a value, the mean of the 2 f pieces around it."""
        if self.mode == "nearest":
            axes = enumerate(zip(shapes["x"][1:], self.scale, strict=True), 1)
            return chain(*(Gather(axis, _repeated(size, factor)) for axis, (size, factor) in axes))
        ops: list[Op] = []
        now = shapes["x"]
        for axis, factor in enumerate(self.scale, 1):
            places = [_around(place, factor, now[axis]) for place in range(now[axis] * factor)]
            now, added = summed(now, axis, places)
            ops += added
        count = prod(2 * factor for factor in self.scale)
        return chain(*ops, Pointwise(FrozenMap({"y": var("x") / float(count)})))

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

    def parts(self, shapes: Mapping[str, Shape]) -> Parts:  # whatever they are
        return chain(Pointwise(FrozenMap({"y": var("x")})))


def summed(x: Shape, axis: int, places: Sequence[Sequence[int]]) -> tuple[Shape, list[Op]]:
    """Ops for sums along an axis, and the shape of their result.

    Args:
        places: for each sum the places that it is of, -1 for none; as many for each of them.
    """
    index = tuple(place for row in places for place in row)
    apart = (*x[:axis], len(places), len(places[0]), *x[axis + 1 :])
    after = (*x[:axis], len(places), *x[axis + 1 :])
    return after, [Gather(axis, index), Reshape(apart), Sum(axis + 1)]


def _repeated(size: int, factor: int) -> tuple[int, ...]:
    return tuple(place // factor for place in range(size * factor))


def _around(place: int, factor: int, size: int) -> list[int]:
    """The values whose pieces are around a new place; beyond the outermost values they go on."""
    first = 2 * place + 1 - factor
    pieces = range(first, first + 2 * factor)
    return [min(max(piece // (2 * factor), 0), size - 1) for piece in pieces]
