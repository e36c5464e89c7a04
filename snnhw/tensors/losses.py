"""Loss terms on tensors: a table from kind to function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss, one_hot

from snnhw.errors import InputError
from snnhw.ir import CECount, CEMembrane, CERate, L1Rate, Loss, LossKind, MSECount
from snnhw.ir.losses import apply_loss

__all__ = ["LOSSES", "total_loss"]


def _ce_over_time(signal: Tensor, target: Tensor) -> Tensor:
    """CE of every step, ``[T]``."""
    steps, batch, _ = signal.shape
    folded = cross_entropy(signal.flatten(0, 1), target.repeat(steps), reduction="none")
    return folded.view(steps, batch).mean(1)


def _ce_rate(kind: Any, signal: Tensor, target: Tensor) -> Tensor:
    return _ce_over_time(signal, target).mean()


def _ce_count(kind: Any, signal: Tensor, target: Tensor) -> Tensor:
    return cross_entropy(signal.sum(0), target)


def _ce_membrane(kind: CEMembrane, signal: Tensor, target: Tensor) -> Tensor:
    steps = _ce_over_time(signal, target)
    return steps.sum() if kind.over_time == "sum" else steps.mean()


def _mse_count(kind: MSECount, signal: Tensor, target: Tensor) -> Tensor:
    steps, _, classes = signal.shape
    correct, other = int(steps * kind.correct_rate), int(steps * kind.incorrect_rate)
    wanted = one_hot(target, classes) * (correct - other) + other
    return mse_loss(signal.sum(0), wanted.to(signal.dtype)) / steps


def _l1_rate(kind: Any, signal: Tensor, target: Tensor) -> Tensor:
    return signal.sum()


LOSSES: Final[Mapping[type[LossKind], Callable[[Any, Tensor, Tensor], Tensor]]] = {
    CERate: _ce_rate,
    CECount: _ce_count,
    CEMembrane: _ce_membrane,
    MSECount: _mse_count,
    L1Rate: _l1_rate,
}
"""Kind -> its value on a signal ``[T, B, C]`` and targets ``[B]``."""


def total_loss(loss: Loss, signals: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
    """The weighted sum of a loss whose terms name their ports."""
    total = torch.zeros(())
    for number, term in enumerate(loss.terms):
        value = term.weight * _value(term.kind, signals[term.of or ""], targets.get(term.target))
        total = value if number == 0 else total + value
    return total


def _value(kind: LossKind, signal: Tensor, target: Tensor | None) -> Tensor:
    name = type(kind).__name__
    if kind.target == "none":
        return LOSSES[type(kind)](kind, signal, signal)
    if signal.ndim != 3:
        raise InputError(f"{name} takes a signal [T, B, C], not one of shape {tuple(signal.shape)}")
    if target is None:
        raise InputError(f"{name} needs targets: class numbers [B]")
    if target.shape != signal.shape[1:2] or target.dtype.is_floating_point:
        raise InputError(
            f"{name} takes class numbers [B={signal.shape[1]}] of an integer dtype, "
            f"not {target.dtype} of shape {tuple(target.shape)}"
        )
    return LOSSES[type(kind)](kind, signal, target.long())


@apply_loss.register
def _(signal: Tensor, targets: Any, loss: Loss) -> Tensor:
    """Every term reads the one signal given."""
    whole = loss.of("signal")
    return total_loss(whole, {"signal": signal}, {term.target: targets for term in whole.terms})
