"""Accuracy of spike trains."""

from __future__ import annotations

from typing import Any

from snnhw.errors import InputError

__all__ = ["accuracy_rate"]


def accuracy_rate(spk: Any, targets: Any) -> float:
    """Share of samples whose most active output neuron is the right one.

    Args:
        spk: spikes ``[T, B, C]``, a tensor or array; among equally active neurons the lowest counts.
        targets: class numbers ``[B]``.
    """
    if spk.ndim != 3 or targets.shape != spk.shape[1:2]:
        raise InputError(
            f"accuracy_rate takes spikes [T, B, C] and targets [B], "
            f"not {tuple(spk.shape)} and {tuple(targets.shape)}"
        )
    return float((spk.sum(0).argmax(1) == targets).sum()) / len(targets)
