"""Kinds of loss term that only tensors have what they need for; no backend compiles them.

They are part of a `snnhw.ir.Loss` like any other, and a backend that is given one refuses it by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

import torch
from torch import Tensor

from snnhw.errors import InputError
from snnhw.ir import ClassLoss, LossKind
from snnhw.tensors.losses import OTHER_LOSSES, class_numbers, each
from snnhw.tensors.spiketime import spike_steps, time_error

__all__ = ["MembraneOverTime", "SpikeSteps", "Unreduced"]

Target = Literal["class", "none", "values"]

_REDUCE: Final[Mapping[str, Callable[[Tensor], Tensor]]] = {
    "mean": torch.mean,
    "sum": torch.sum,
    "none": lambda values: values,
}


@dataclass(frozen=True)
class Unreduced(LossKind):
    """A term's value for each sample, ``[B]`` or ``[B, classes]``; the term's own reduction is left out."""

    target: ClassVar[Target] = "class"
    kind: ClassLoss

    def __post_init__(self) -> None:
        """Nothing to check: the kind has checked itself."""

    @property
    def reads(self) -> Literal["spk", "mem"]:  # type: ignore[override]  # as the kind inside says
        return self.kind.reads


@dataclass(frozen=True)
class MembraneOverTime(LossKind):
    """``mean_t (U_t - target_t)^2``; targets are classes ``[T, B]``, or floating point ``[T, B, C]``."""

    reads: ClassVar[Literal["spk", "mem"]] = "mem"
    target: ClassVar[Target] = "values"
    time_var_targets: ClassVar[bool] = True
    reduction: str
    on_target: float = 1.0
    off_target: float = 0.0

    def __post_init__(self) -> None:
        """Nothing to check: the function that makes it has checked."""


@dataclass(frozen=True)
class SpikeSteps(LossKind):
    """``((steps - wanted) / T)^2`` of the first spikes, one or more of every neuron.

    Targets are class numbers ``[B]``, or with ``target_is_time`` steps ``[B, C]`` (``[F, B, C]`` with
    ``multi_spike``).
    """

    target: ClassVar[Target] = "values"
    reduction: str
    target_is_time: bool
    multi_spike: bool
    on_target: tuple[float, ...]
    off_target: tuple[float, ...]
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        if len(self.on_target) != len(self.off_target) and not self.target_is_time:
            raise InputError(
                f"on_target names {len(self.on_target)} spikes, off_target {len(self.off_target)}; "
                "give as many of each"
            )


def _membrane(kind: MembraneOverTime, signal: Tensor, target: Tensor) -> Tensor:
    if not target.is_floating_point() and target.shape == signal.shape[:2]:
        hit = target[..., None] == torch.arange(signal.shape[2], device=signal.device)
        target = torch.where(hit, signal.new_tensor(kind.on_target), signal.new_tensor(kind.off_target))
    elif target.shape != signal.shape:
        raise InputError(
            f"time_var_targets=True takes classes [T, B] of an integer dtype, or membranes "
            f"{list(signal.shape)}, not {target.dtype} of shape {list(target.shape)}"
        )
    return _REDUCE[kind.reduction]((signal - target.to(signal.dtype)).square().mean(0))


def _spike_steps(kind: SpikeSteps, signal: Tensor, target: Tensor) -> Tensor:
    steps, batch, classes = signal.shape
    if kind.target_is_time:
        wanted = target if kind.multi_spike else target[None]
    else:
        classed = class_numbers("SpikeSteps", target, batch, classes)
        hit = classed[:, None] == torch.arange(classes, device=signal.device)
        on, off = (signal.new_tensor(steps)[:, None, None] for steps in (kind.on_target, kind.off_target))
        wanted = torch.where(hit, on, off)
    if wanted.shape[1:] != signal.shape[1:]:
        shape = "[F, B, C]" if kind.multi_spike else "[B, C]"
        raise InputError(
            f"target_is_time=True takes steps {shape} with B={batch} and C={classes}, "
            f"not {list(target.shape)}"
        )
    wanted = torch.where(wanted < 0, wanted + steps, wanted).to(signal.dtype)
    values = time_error(spike_steps(signal, len(wanted)), wanted, kind.tolerance, steps)
    return _REDUCE[kind.reduction](values if kind.multi_spike else values[0])


OTHER_LOSSES[Unreduced] = lambda kind, signal, target: each(kind.kind, signal, target)
OTHER_LOSSES[MembraneOverTime] = _membrane
OTHER_LOSSES[SpikeSteps] = _spike_steps
