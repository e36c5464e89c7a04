"""Batch normalisation: of every step by itself, or of all steps together.

    y = (x - mean) / sqrt(variance + eps) * weight + bias

In training, mean and variance are those of each channel over batch and positions, and gradients flow
through both; the running statistics move towards them, the variance by its unbiased estimate. In evaluation
the running statistics take their place.

Source: S. Ioffe, C. Szegedy, arXiv:1502.03167, 2015; parameters for every step: Y. Kim, P. Panda,
arXiv:2010.01729, 2020 ("BNTT").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import ClassVar, Final, Literal

from snnhw.errors import ProgramError
from snnhw.ir.checks import is_number
from snnhw.ir.ops.base import Op, Shape, is_size, need, op
from snnhw.ir.params import ParamSpec

__all__ = ["BatchNorm", "BatchNorm1d", "BatchNorm2d"]

STATISTICS: Final = ("per_step", "folded")


@dataclass(frozen=True)
class BatchNorm(Op):
    """What `BatchNorm1d` and `BatchNorm2d` share.

    Attributes:
        features: number of channels, the first axis of a sample.
        stats: whose mean and variance: ``per_step``, of each step by itself, the running statistics moving
            at every step, as a layer does that a loop over time calls; ``folded``, of all steps of a call
            together, the running statistics moving once. These are two functions, with different results.
        time_steps: None: one set of parameters and running statistics; a number: one for each step, with a
            leading axis of that length.
        momentum: how far a running statistic moves, from 0 to 1.
        eps: added to the variance.
        weight, bias: whether it has these parameters.
    """

    features: int
    stats: Literal["per_step", "folded"] = "per_step"
    time_steps: int | None = None
    momentum: float = 0.1
    eps: float = 1e-5
    weight: bool = True
    bias: bool = True

    positions: ClassVar[tuple[tuple[str, ...], ...]]
    """What may follow the channels in the shape of a sample."""

    def check(self) -> None:
        need(self, is_size(self.features), "features", "a positive integer")
        need(self, self.stats in STATISTICS, "stats", f"one of {', '.join(STATISTICS)}")
        need(
            self,
            self.time_steps is None or is_size(self.time_steps),
            "time_steps",
            "a positive integer, or None",
        )
        alone = self.time_steps is None or self.stats == "per_step"
        need(self, alone, "time_steps", "None where stats='folded': those of all steps belong to no step")
        need(self, is_number(self.momentum) and 0 <= self.momentum <= 1, "momentum", "a number from 0 to 1")
        need(self, is_number(self.eps) and self.eps > 0, "eps", "a number greater than 0")

    def params(self) -> Mapping[str, ParamSpec]:
        shape: Shape = (self.features,) if self.time_steps is None else (self.time_steps, self.features)
        learnt = {"weight": 1.0} if self.weight else {}
        learnt |= {"bias": 0.0} if self.bias else {}
        measured = {"running_mean": 0.0, "running_var": 1.0}
        return {name: ParamSpec(shape, default=value) for name, value in learnt.items()} | {
            name: ParamSpec(shape, kind="statistic", default=value) for name, value in measured.items()
        }

    def infer(self, shapes: Mapping[str, Shape]) -> Mapping[str, Shape]:
        x = shapes["x"]
        if len(x) - 1 not in map(len, self.positions) or x[0] != self.features:
            listed = " or ".join(f"({', '.join((str(self.features), *axes))})" for axes in self.positions)
            raise ProgramError(f"{type(self).__name__} takes {listed}, not {x}")
        return {"y": x}

    @property
    def clocked(self) -> bool:
        return self.time_steps is not None

    def varies(self, training: bool) -> bool:  # equal inputs have equal statistics
        return self.time_steps is not None

    def unfit(self, shape: Shape, *, first: int, steps: int, batch: int, training: bool) -> str | None:
        if self.time_steps is not None and first + steps > self.time_steps:
            return (
                f"it has parameters for {self.time_steps} steps, but is to compute steps {first} to "
                f"{first + steps - 1}; run fewer steps, or start from rest (state=None)"
            )
        values = batch * prod(shape[1:]) * (steps if self.stats == "folded" else 1)
        if training and values == 1:
            return "one value has no variance to normalise by; train with a larger batch"
        return None

    def summary(self) -> str:
        words = [str(self.features), f"stats={self.stats}"]
        words += [] if self.time_steps is None else [f"time_steps={self.time_steps}"]
        words += [f"momentum={self.momentum}", f"eps={self.eps}"]
        words += [f"{name}=False" for name in ("weight", "bias") if not getattr(self, name)]
        return f"{type(self).__name__}({', '.join(words)})"


@op
@dataclass(frozen=True)
class BatchNorm1d(BatchNorm):
    """Batch normalisation of samples ``(C,)`` or ``(C, length)``."""

    positions: ClassVar[tuple[tuple[str, ...], ...]] = ((), ("length",))


@op
@dataclass(frozen=True)
class BatchNorm2d(BatchNorm):
    """Batch normalisation of samples ``(C, height, width)``."""

    positions: ClassVar[tuple[tuple[str, ...], ...]] = (("height", "width"),)
