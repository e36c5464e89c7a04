"""Accuracy of spike trains."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from snnhw.arrays import check_array
from snnhw.errors import InputError
from snnhw.tensors.number import Number

__all__ = ["accuracy_rate", "accuracy_temporal"]


def accuracy_rate(
    spk_out: Any, targets: Any, population_code: bool = False, num_classes: int | Literal[False] = False
) -> Number:
    """Share of samples whose most active class is the right one.

    Args:
        spk_out: spikes ``[T, B, C]``, a tensor or array; among equally active classes the lowest counts.
        targets: class numbers ``[B]``.
        population_code: each class has a population of neighbouring neurons.
        num_classes: how many classes share the C neurons.

    Returns:
        a float, which has ``item()``, too.

    Raises:
        InputError: shapes that do not fit, or neurons that cannot be shared evenly.
    """
    _check("accuracy_rate", spk_out, targets)
    counts = _wide(spk_out).sum(0)
    if population_code:
        neurons = spk_out.shape[2]
        if not num_classes or neurons % num_classes:
            raise InputError(
                f"accuracy_rate cannot share {neurons} neurons among num_classes={num_classes}; "
                "give a number that divides them"
            )
        counts = counts.reshape(len(targets), num_classes, -1).sum(2)
    return _share(counts.argmax(1) == targets)


def accuracy_temporal(spk_out: Any, targets: Any) -> Number:
    """Share of samples in which the right neuron fires first.

    A silent neuron counts as firing at the last step; of several that fire first the lowest counts.

    Args:
        spk_out: spikes ``[T, B, C]``, a tensor or array.
        targets: class numbers ``[B]``.

    Raises:
        InputError: shapes that do not fit.
    """
    _check("accuracy_temporal", spk_out, targets)
    fired = spk_out != 0
    fired[-1] = True
    return _share((fired * 1).argmax(0).argmin(1) == targets)


def _wide(spikes: Any) -> Any:
    """At least float32: counts beyond 256 have no number of their own in half precision."""
    if str(spikes.dtype).rpartition(".")[2] not in ("float16", "bfloat16"):
        return spikes
    return spikes.float() if hasattr(spikes, "float") else spikes.astype(np.float32)


def _share(right: Any) -> Number:
    """With ``item()``, which snnTorch's tutorials call; its own, NumPy's, no checkpoint gives back."""
    return Number(int(right.sum()) / len(right))


def _check(name: str, spk: Any, targets: Any) -> None:
    for what, given in (("spikes", spk), ("targets", targets)):
        check_array(name, what, given)
    shape, wanted = tuple(spk.shape), tuple(targets.shape)
    if len(shape) != 3 or wanted != shape[1:2]:
        raise InputError(
            f"{name} takes spikes [T, B, C] and targets [B], not {shape} and {wanted}{_advice(shape, wanted)}"
        )


def _advice(shape: tuple[int, ...], targets: tuple[int, ...]) -> str:
    """What to do about shapes that do not go together."""
    if len(shape) == 3 and targets == shape[:1]:
        return "; the batch stands first, where time does here: give spk.transpose(0, 1)"
    if len(shape) == 2 and targets == shape[:1]:
        return "; there is no time axis: of one step, or of counts, give spk[None]"
    if len(shape) == 3 and targets[:1] == shape[1:2] and len(targets) == 2:
        return "; of one-hot targets give targets.argmax(1)"
    return ""


def _prediction_check(spk_out: Any) -> tuple[Any, int, int]:
    """snnTorch's helper: the device, the number of steps and that of neurons of spikes ``[T, ..., N]``."""
    return spk_out.device, spk_out.shape[0], spk_out.shape[-1]


def _population_code(spk_out: Any, num_classes: int | Literal[False], num_outputs: int) -> Any:
    """snnTorch's helper: spikes ``[T, B, N]`` of each class's neurons, counted over time, ``[B, classes]``.

    Raises:
        InputError: the neurons cannot be shared evenly.
    """
    if not num_classes or num_outputs % num_classes:
        raise InputError(
            f"a population code cannot share {num_outputs} neurons among num_classes={num_classes}; "
            "give a number that divides them"
        )
    return spk_out.sum(0).reshape(spk_out.shape[1], num_classes, -1).sum(2)
