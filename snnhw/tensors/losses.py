"""Loss terms on tensors: a table from kind to function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from math import floor, prod
from operator import add
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from snnhw.errors import InputError
from snnhw.ir import (
    CECount,
    CEMaxMembrane,
    CEMembrane,
    CERate,
    CETemporal,
    ClassLoss,
    L1Rate,
    Loss,
    LossKind,
    MSECount,
    MSEMembrane,
    MSETemporal,
    PopulationLoss,
    Term,
)
from snnhw.ir.losses import apply_loss
from snnhw.tensors.arrays import as_tensor
from snnhw.tensors.spiketime import first_step, time_error

__all__ = ["CLASS_LOSSES", "OTHER_LOSSES", "class_numbers", "each", "total_loss"]


def _ce(logits: Tensor, target: Tensor) -> Tensor:
    """Cross entropy of every sample: ``[..., B, C]`` gives ``[..., B]``."""
    if logits.ndim == 2:
        return cross_entropy(logits, target, reduction="none")
    steps, batch, _ = logits.shape
    folded = cross_entropy(logits.flatten(0, 1), target.repeat(steps), reduction="none")
    return folded.view(steps, batch)


def _grouped(kind: PopulationLoss, spikes: Tensor) -> Tensor:
    """The spikes of each class together: ``[..., C]`` gives ``[..., classes]``."""
    if kind.num_classes is None:
        return spikes
    return spikes.reshape(*spikes.shape[:-1], kind.num_classes, -1).sum(-1)


def _for_class(target: Tensor, classes: int, right: float, others: float, like: Tensor) -> Tensor:
    """``[B, classes]``: one number where the class is, another elsewhere."""
    hit = target[:, None] == torch.arange(classes, device=target.device)
    return torch.where(hit, like.new_tensor(right), like.new_tensor(others))


def _ce_membrane(kind: CEMembrane, signal: Tensor, target: Tensor) -> Tensor:
    steps = _ce(signal, target)
    return steps.sum(0) if kind.over_time == "sum" else steps.mean(0)


def _mse_count(kind: MSECount, signal: Tensor, target: Tensor) -> Tensor:
    steps, _, neurons = signal.shape
    classes = kind.classes(neurons)
    correct, other = (
        floor(steps * rate * (neurons // classes)) for rate in (kind.correct_rate, kind.incorrect_rate)
    )
    wanted = _for_class(target, classes, correct, other, signal)
    return (_grouped(kind, signal.sum(0)) - wanted).square() / steps


def _mse_membrane(kind: MSEMembrane, signal: Tensor, target: Tensor) -> Tensor:
    wanted = _for_class(target, signal.shape[2], kind.on_target, kind.off_target, signal)
    return (signal - wanted).square().mean(0)


def _mse_temporal(kind: MSETemporal, signal: Tensor, target: Tensor) -> Tensor:
    steps, _, classes = signal.shape
    on, off = (step + steps if step < 0 else step for step in (kind.on_target, kind.off_target))
    return time_error(first_step(signal), _for_class(target, classes, on, off, signal), kind.tolerance, steps)


def _ce_temporal(kind: CETemporal, signal: Tensor, target: Tensor) -> Tensor:
    first = first_step(signal)
    return _ce(-first if kind.inverse == "negate" else 1 / (first + 1), target)


CLASS_LOSSES: Final[Mapping[type[ClassLoss], Callable[[Any, Tensor, Tensor], Tensor]]] = {
    CERate: lambda kind, signal, target: _ce(_grouped(kind, signal), target).mean(0),
    CECount: lambda kind, signal, target: _ce(_grouped(kind, signal.sum(0)), target),
    CEMembrane: _ce_membrane,
    CEMaxMembrane: lambda kind, signal, target: _ce(signal.max(0).values, target),
    CETemporal: _ce_temporal,
    MSECount: _mse_count,
    MSEMembrane: _mse_membrane,
    MSETemporal: _mse_temporal,
}
"""Kind -> its value for each sample, ``[B]`` or ``[B, classes]``, of ``[T, B, C]`` and targets ``[B]``."""

OTHER_LOSSES: Final[dict[type[LossKind], Callable[[Any, Tensor, Tensor], Tensor]]] = {
    L1Rate: lambda kind, signal, target: signal.sum(),
}
"""Kind -> its value on a signal ``[T, B, ...]`` and, for those that take some, target values.

Kinds that are no part of the language, since only tensors have what they take, enter themselves here.
"""


def each(kind: ClassLoss, signal: Tensor, targets: Tensor) -> Tensor:
    """The value for each sample, ``[B]`` or ``[B, classes]``, weighted by its class, not reduced."""
    signal = _wide(signal)
    return _weighted(kind, signal, _classes(kind, signal, targets))[0]


def _wide(signal: Tensor) -> Tensor:
    """At least float32: spikes of half precision, as under autocast, cannot be counted beyond 256 in it."""
    return signal.float() if signal.dtype in (torch.float16, torch.bfloat16) else signal


def _weighted(kind: ClassLoss, signal: Tensor, target: Tensor) -> tuple[Tensor, Tensor | int]:
    """The weighted values, and the sum of the samples' weights."""
    values = CLASS_LOSSES[type(kind)](kind, signal, target)
    if kind.class_weights is None:
        return values, values.shape[0]
    weights = signal.new_tensor(kind.class_weights)[target]
    return values * weights.view(-1, *[1] * (values.ndim - 1)), weights.sum()


def _class_loss(kind: ClassLoss, signal: Tensor, target: Tensor) -> Tensor:
    values, samples = _weighted(kind, signal, target)
    return values.sum() if kind.reduction == "sum" else values.sum() / (samples * prod(values.shape[1:]))


def total_loss(loss: Loss, signals: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
    """The weighted sum of a loss whose terms name their ports, left to right.

    Args:
        signals: port -> ``[T, B, ...]``.
        targets: target name -> class numbers ``[B]``, best still on the host, where they are checked.

    Raises:
        InputError: the loss has no terms, or a signal or target does not suit a term.
    """
    if not loss.terms:
        raise InputError("this loss has no terms; add some, such as snnhw.functional.ce_rate_loss()")
    return reduce(add, (_value(term, signals[str(term.of)], targets) * term.weight for term in loss.terms))


def _value(term: Term, signal: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
    kind, name = term.kind, type(term.kind).__name__
    signal = _wide(signal)
    if kind.target == "none":
        return OTHER_LOSSES[type(kind)](kind, signal, signal)
    if signal.ndim != 3:
        raise InputError(f"{name} takes a signal [T, B, C], not one of shape {list(signal.shape)}")
    if term.target not in targets:
        what = {"class": "class numbers [B]", "values": "values, as its docstring has them"}[kind.target]
        raise InputError(f"{name} needs targets: {what}")
    target = targets[term.target]
    if isinstance(kind, ClassLoss):
        return _class_loss(kind, signal, _classes(kind, signal, target))
    return OTHER_LOSSES[type(kind)](kind, signal, target.to(signal.device))


def _classes(kind: ClassLoss, signal: Tensor, target: Tensor) -> Tensor:
    """The targets, checked, where the signal is."""
    _, batch, neurons = signal.shape
    return class_numbers(type(kind).__name__, target, batch, kind.classes(neurons)).to(
        signal.device, torch.long
    )


def class_numbers(name: str, target: Tensor, batch: int, classes: int) -> Tensor:
    """The targets, checked: torch's own functions pass over negative ones, and crash a GPU on large ones."""
    whole = not (target.is_floating_point() or target.is_complex() or target.dtype == torch.bool)
    if not whole or target.shape != (batch,):
        raise InputError(
            f"{name} takes class numbers [B={batch}] of an integer dtype, "
            f"not {target.dtype} of shape {list(target.shape)}"
        )
    if target.device.type == "cpu" and batch:  # elsewhere looking would wait for the device
        target = target.long()  # torch compares no unsigned integers longer than a byte
        low, high = int(target.min()), int(target.max())
        if low < 0 or high >= classes:
            wrong = low if low < 0 else high
            raise InputError(f"{name} takes class numbers 0 to {classes - 1}; the targets hold {wrong}")
    return target


@apply_loss.register
def _(signal: Tensor, targets: Any, loss: Loss) -> Tensor:
    """Every term reads the one signal given."""
    whole = loss.of("signal")
    if targets is None:
        return total_loss(whole, {"signal": signal}, {})
    classes = as_tensor("target", "targets", targets)
    return total_loss(whole, {"signal": signal}, {term.target: classes for term in whole.terms})
