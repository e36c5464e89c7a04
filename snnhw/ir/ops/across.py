"""Ops in which values of one sample meet: sums, products of matrices, competition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from snnhw.errors import ProgramError
from snnhw.ir.ops.base import Op, Shape, is_size, need, op

__all__ = ["MatMul", "Sum", "WinnerTakeAll"]


@op
@dataclass(frozen=True)
class Sum(Op):
    """The sum along an axis of the sample, which goes.

    Attributes:
        axis: 0 is the first after the batch, -1 the last.
    """

    axis: int = -1

    def check(self) -> None:
        need(self, is_size(self.axis, -1), "axis", "an axis of the sample, or -1 for the last")

    def infer(self, shapes: Mapping[str, Shape]) -> Mapping[str, Shape]:
        x = shapes["x"]
        if not x or self.axis >= len(x):
            raise ProgramError(f"{self.summary()} does not fit a sample of shape {x}")
        axis = self.axis % len(x)
        return {"y": x[:axis] + x[axis + 1 :]}

    def summary(self) -> str:
        return f"Sum({self.axis})"


@op
@dataclass(frozen=True)
class MatMul(Op):
    """``y = a b``: the product of two signals over their last two axes, ``[..., n, k]`` and
    ``[..., k, m]``; the axes before them are equal, or 1."""

    @property
    def in_ports(self) -> tuple[str, ...]:
        return ("a", "b")

    def infer(self, shapes: Mapping[str, Shape]) -> Mapping[str, Shape]:
        a, b = shapes["a"], shapes["b"]
        fits = (
            len(a) == len(b) >= 2
            and a[-1] == b[-2]
            and all(m == n or 1 in (m, n) for m, n in zip(a[:-2], b[:-2], strict=True))
        )
        if not fits:
            raise ProgramError(f"MatMul takes (..., n, k) and (..., k, m) of one rank, not {a} and {b}")
        lead = tuple(max(m, n) for m, n in zip(a[:-2], b[:-2], strict=True))
        return {"y": (*lead, a[-2], b[-1])}


@op
@dataclass(frozen=True)
class WinnerTakeAll(Op):
    """1 at the largest value along an axis of the sample, 0 elsewhere; at a tie the first one wins. No
    gradient passes: multiply what should learn by it.

    Attributes:
        axis: 0 is the first after the batch, -1 the last.
    """

    axis: int = -1

    def check(self) -> None:
        need(self, is_size(self.axis, -1), "axis", "an axis of the sample, or -1 for the last")

    def infer(self, shapes: Mapping[str, Shape]) -> Mapping[str, Shape]:
        x = shapes["x"]
        if not x or self.axis >= len(x):
            raise ProgramError(f"{self.summary()} does not fit a sample of shape {x}")
        return {"y": x}

    def summary(self) -> str:
        return f"WinnerTakeAll({self.axis})"
