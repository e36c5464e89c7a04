"""Accuracy of spike trains."""

from __future__ import annotations

from typing import Any, Literal

from snnhw.errors import InputError

__all__ = ["accuracy_rate", "accuracy_temporal"]


def accuracy_rate(
    spk: Any, targets: Any, population_code: bool = False, num_classes: int | Literal[False] = False
) -> float:
    """Share of samples whose most active class is the right one.

    Args:
        spk: spikes ``[T, B, C]``, a tensor or array; among equally active classes the lowest counts.
        targets: class numbers ``[B]``.
        population_code: each class has a population of neighbouring neurons.
        num_classes: how many classes share the C neurons.

    Raises:
        InputError: shapes that do not fit, or neurons that cannot be shared evenly.
    """
    _check("accuracy_rate", spk, targets)
    counts = spk.sum(0)
    if population_code:
        neurons = spk.shape[2]
        if not num_classes or neurons % num_classes:
            raise InputError(
                f"accuracy_rate cannot share {neurons} neurons among num_classes={num_classes}; "
                "give a number that divides them"
            )
        counts = counts.reshape(len(targets), num_classes, -1).sum(2)
    return float((counts.argmax(1) == targets).sum()) / len(targets)


def accuracy_temporal(spk: Any, targets: Any) -> float:
    """Share of samples in which the right neuron fires first.

    A silent neuron counts as firing at the last step; of several that fire first the lowest counts.

    Args:
        spk: spikes ``[T, B, C]``, a tensor or array.
        targets: class numbers ``[B]``.

    Raises:
        InputError: shapes that do not fit.
    """
    _check("accuracy_temporal", spk, targets)
    fired = spk != 0
    fired[-1] = True
    return float(((fired * 1).argmax(0).argmin(1) == targets).sum()) / len(targets)


def _check(name: str, spk: Any, targets: Any) -> None:
    if spk.ndim != 3 or targets.shape != spk.shape[1:2]:
        raise InputError(
            f"{name} takes spikes [T, B, C] and targets [B], "
            f"not {tuple(spk.shape)} and {tuple(targets.shape)}"
        )
