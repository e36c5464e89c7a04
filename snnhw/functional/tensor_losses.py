"""Kinds of loss term that only tensors have what they need for; no backend compiles them.

They are part of a `snnhw.ir.Loss` like any other, and a backend that is given one refuses it by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Literal

import torch
from torch import Tensor

from snnhw.errors import InputError
from snnhw.ir import ClassLoss, LossKind, Term
from snnhw.ir.targets import CLASSES, Form, form_of
from snnhw.tensors.losses import OTHER_LOSSES, each, what_is
from snnhw.tensors.own_steps import OwnSteps
from snnhw.tensors.spiketime import spike_steps, time_error

__all__ = ["SpikeSteps", "Unreduced"]

SPIKE_STEPS: Final = Form(("F", "B", "..."), False, "the steps at which each neuron is to fire, F of them")

LOOP: Final = "over spikes of the net itself, or of compile(net, sample, ...).torch_module()"

_REDUCE: Final[Mapping[str, Callable[[Tensor], Tensor]]] = {
    "mean": torch.mean,
    "sum": torch.sum,
    "none": lambda values: values,
}


@dataclass(frozen=True)
class Unreduced(LossKind):
    """A term's value for each sample, ``[B]`` or ``[B, classes]``; the term's own reduction is left out."""

    instead: ClassVar[str] = (
        "with reduction='none' there is no one number to lessen; give 'mean' or 'sum', or reduce its values "
        f"in a loop of your own, {LOOP}"
    )

    kind: ClassLoss

    def __post_init__(self) -> None:
        """Nothing to check: the kind has checked itself."""

    @property
    def takes(self) -> tuple[Form, ...]:
        return self.kind.takes

    def classes(self, neurons: int) -> int:
        """As the kind inside says."""
        return self.kind.classes(neurons)

    @property
    def time_var_targets(self) -> bool:
        """As the kind inside says."""
        return getattr(self.kind, "time_var_targets", False)

    @property
    def reads(self) -> Literal["spk", "mem"]:  # type: ignore[override]  # as the kind inside says
        return self.kind.reads


@dataclass(frozen=True)
class SpikeSteps(LossKind):
    """``((steps - wanted) / T)^2`` of the first F spikes of every neuron.

    Targets are class numbers ``[B]``, or with ``target_is_time`` steps ``[F, B, C]``.
    """

    instead: ClassVar[str] = (
        f"multi_spike=True is computed on tensors; train in a loop of your own, {LOOP}; or on the first "
        "spikes, multi_spike=False"
    )

    reduction: str
    target_is_time: bool
    on_target: tuple[float, ...]
    off_target: tuple[float, ...]
    tolerance: float = 0.0

    @property
    def takes(self) -> tuple[Form, ...]:
        return (SPIKE_STEPS,) if self.target_is_time else (CLASSES,)

    def __post_init__(self) -> None:
        if len(self.on_target) != len(self.off_target) and not self.target_is_time:
            raise InputError(
                f"on_target names {len(self.on_target)} spikes, off_target {len(self.off_target)}; "
                "give as many of each"
            )


def _each(term: Term, signal: Tensor, target: Tensor, _: OwnSteps) -> Tensor:
    assert isinstance(term.kind, Unreduced)
    return each(replace(term, kind=term.kind.kind), signal, target)


def _spike_steps(term: Term, signal: Tensor, target: Tensor, _: OwnSteps) -> Tensor:
    kind, steps = term.kind, len(signal)
    assert isinstance(kind, SpikeSteps)
    form = form_of(term, tuple(signal.shape), what_is(target))
    wanted = target
    if form.whole:
        hit = wanted[:, None] == torch.arange(signal.shape[2], device=signal.device)
        on, off = (signal.new_tensor(steps)[:, None, None] for steps in (kind.on_target, kind.off_target))
        wanted = torch.where(hit, on, off)
    ahead = torch.where(wanted < 0, wanted + steps, wanted).to(signal.dtype)
    values = time_error(spike_steps(signal, len(wanted)), ahead, kind.tolerance, steps)
    return _REDUCE[kind.reduction](values)


OTHER_LOSSES[Unreduced] = _each
OTHER_LOSSES[SpikeSteps] = _spike_steps
