"""Losses of the workloads as functions of ``[T, B, C]`` and class numbers ``[B]``.

Written over all steps at once, which is what a library that computes all steps at once would use.
snnTorch and snnhw bring their own; these are the same functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss, one_hot

__all__ = ["CORRECT", "FOLDED", "INCORRECT", "READS", "stepped_ce"]

LossFunction = Callable[[Tensor, Tensor], Tensor]

CORRECT: Final = 0.8
INCORRECT: Final = 0.2
"""Rates asked of the right neuron and of the others by ``mse_count``."""


def _ce_rate(signal: Tensor, target: Tensor) -> Tensor:
    return cross_entropy(signal.flatten(0, 1), target.repeat(len(signal)))


def _mse_count(signal: Tensor, target: Tensor) -> Tensor:
    steps, classes = len(signal), signal.shape[-1]
    right, wrong = int(steps * CORRECT), int(steps * INCORRECT)
    wanted = one_hot(target, classes) * (right - wrong) + wrong
    return mse_loss(signal.sum(0), wanted.to(signal.dtype)) / steps


def _mse_population(signal: Tensor, target: Tensor) -> Tensor:
    """All neurons of the right class at every step, none of the others."""
    steps, batch, size = signal.shape
    counts = signal.sum(0).view(batch, 10, size // 10).sum(-1)
    wanted = one_hot(target, 10) * (steps * size // 10)
    return mse_loss(counts, wanted.to(signal.dtype)) / steps


def stepped_ce(signal: Tensor, target: Tensor) -> Tensor:
    """Cross entropy of every step, added up in a loop, as snnTorch's tutorial 5 has it."""
    total = torch.zeros(1, device=signal.device)
    for step in signal:
        total = total + cross_entropy(step, target)
    return total


FOLDED: Final[dict[str, LossFunction]] = {
    "ce_membrane": lambda signal, target: _ce_rate(signal, target) * len(signal),
    "ce_rate": _ce_rate,
    "ce_count": lambda signal, target: cross_entropy(signal.sum(0), target),
    "mse_count": _mse_count,
    "mse_population": _mse_population,
}

READS: Final = {
    "ce_membrane": "mem",
    "ce_rate": "spk",
    "ce_count": "mem",
    "mse_count": "spk",
    "mse_population": "spk",
}
"""Loss -> which output it takes."""
