"""Loss terms on tensors: a table from kind to function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from math import floor
from operator import add
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss, one_hot

from snnhw.errors import InputError
from snnhw.ir import CECount, CEMembrane, CERate, L1Rate, Loss, LossKind, MSECount, Term
from snnhw.ir.losses import apply_loss
from snnhw.tensors.arrays import as_tensor

__all__ = ["LOSSES", "total_loss"]


def _ce_over_time(signal: Tensor, target: Tensor) -> Tensor:
    """CE of every step, ``[T]``."""
    steps, batch, _ = signal.shape
    folded = cross_entropy(signal.flatten(0, 1), target.repeat(steps), reduction="none")
    return folded.view(steps, batch).mean(1)


def _ce_membrane(kind: CEMembrane, signal: Tensor, target: Tensor) -> Tensor:
    steps = _ce_over_time(signal, target)
    return steps.sum() if kind.over_time == "sum" else steps.mean()


def _mse_count(kind: MSECount, signal: Tensor, target: Tensor) -> Tensor:
    steps, _, classes = signal.shape
    correct, other = floor(steps * kind.correct_rate), floor(steps * kind.incorrect_rate)
    wanted = one_hot(target, classes) * (correct - other) + other
    return mse_loss(signal.sum(0), wanted.to(signal.dtype)) / steps


LOSSES: Final[Mapping[type[LossKind], Callable[[Any, Tensor, Tensor], Tensor]]] = {
    CERate: lambda kind, signal, target: _ce_over_time(signal, target).mean(),
    CECount: lambda kind, signal, target: cross_entropy(signal.sum(0), target),
    CEMembrane: _ce_membrane,
    MSECount: _mse_count,
    L1Rate: lambda kind, signal, target: signal.sum(),
}
"""Kind -> its value on a signal ``[T, B, C]`` and targets ``[B]``."""


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
    value = LOSSES[type(term.kind)]
    if term.kind.target == "none":
        return value(term.kind, signal, signal)
    name = type(term.kind).__name__
    if signal.ndim != 3:
        raise InputError(f"{name} takes a signal [T, B, C], not one of shape {list(signal.shape)}")
    if term.target not in targets:
        raise InputError(f"{name} needs targets: class numbers [B]")
    return value(term.kind, signal, _classes(name, signal, targets[term.target]))


def _classes(name: str, signal: Tensor, target: Tensor) -> Tensor:
    """The targets, checked: torch's own functions pass over negative ones, and crash a GPU on large ones."""
    _, batch, classes = signal.shape
    whole = not (target.is_floating_point() or target.is_complex() or target.dtype == torch.bool)
    if not whole or target.shape != (batch,):
        raise InputError(
            f"{name} takes class numbers [B={batch}] of an integer dtype, "
            f"not {target.dtype} of shape {list(target.shape)}"
        )
    if target.device.type == "cpu" and batch:  # elsewhere looking would wait for the device
        low, high = int(target.min()), int(target.max())
        if low < 0 or high >= classes:
            wrong = low if low < 0 else high
            raise InputError(f"{name} takes class numbers 0 to {classes - 1}; the targets hold {wrong}")
    return target.to(signal.device, torch.long)


@apply_loss.register
def _(signal: Tensor, targets: Any, loss: Loss) -> Tensor:
    """Every term reads the one signal given."""
    whole = loss.of("signal")
    if targets is None:
        return total_loss(whole, {"signal": signal}, {})
    classes = as_tensor("target", "targets", targets)
    return total_loss(whole, {"signal": signal}, {term.target: classes for term in whole.terms})
