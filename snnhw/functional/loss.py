"""Losses. A signal is ``[T, B, C]``, targets are class numbers ``[B]``, or what a loss says besides.

Arguments that several have:

- ``population_code, num_classes``: each class has a population of neighbouring neurons, C being a
  multiple of the number of classes; without, every neuron is a class;
- ``reduction``: over the samples, ``"mean"``, ``"sum"`` or ``"none"``; the last gives ``[B]``, or
  ``[B, classes]`` for squared errors, and is for tensors only: no backend trains on it;
- ``weight``: how much a sample of each class counts, ``[classes]``; a mean is then weighted,
  ``sum w[y] x / sum w[y]``, as torch's cross entropy has it (snnTorch 1.0 divides by B).

All raise `snnhw.errors.InputError` for settings that make no sense.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from snnhw.errors import InputError
from snnhw.functional.loss_parts import LossFunctions, SpikeTime
from snnhw.functional.tensor_losses import SpikeSteps, Unreduced
from snnhw.ir import (
    CECount,
    CEMaxMembrane,
    CEMembrane,
    CERate,
    CETemporal,
    ClassLoss,
    Loss,
    MSECount,
    MSEMembrane,
    MSETemporal,
    Term,
)
from snnhw.words import brief

__all__ = [
    "LossFunctions",
    "SpikeTime",
    "ce_count_loss",
    "ce_max_membrane_loss",
    "ce_membrane_loss",
    "ce_rate_loss",
    "ce_temporal_loss",
    "mse_count_loss",
    "mse_membrane_loss",
    "mse_temporal_loss",
]

Reduction = Literal["mean", "sum", "none"]


def ce_rate_loss(
    population_code: bool = False,
    num_classes: int | Literal[False] = False,
    reduction: Reduction = "mean",
    weight: Any = None,
) -> Loss:
    """Cross entropy of the spikes at every step, averaged over time; a scalar where snnTorch gives [1]."""
    return _loss(CERate, reduction, weight, num_classes=_classes(population_code, num_classes))


def ce_count_loss(
    population_code: bool = False,
    num_classes: int | Literal[False] = False,
    reduction: Reduction = "mean",
    weight: Any = None,
) -> Loss:
    """Cross entropy of the spike counts."""
    return _loss(CECount, reduction, weight, num_classes=_classes(population_code, num_classes))


def ce_membrane_loss(
    over_time: Literal["sum", "mean"] = "sum", reduction: Reduction = "mean", weight: Any = None
) -> Loss:
    """Cross entropy of the membrane at every step, summed (or averaged) over time: snnTorch's tutorial 5."""
    return _loss(CEMembrane, reduction, weight, over_time=over_time)


def ce_max_membrane_loss(reduction: Reduction = "mean", weight: Any = None) -> Loss:
    """Cross entropy of every neuron's largest membrane over time."""
    return _loss(CEMaxMembrane, reduction, weight)


def ce_temporal_loss(
    inverse: Literal["negate", "reciprocal"] = "negate", reduction: Reduction = "mean", weight: Any = None
) -> Loss:
    """Cross entropy of ``-t``, or of ``1 / (t + 1)``, with t the step of every neuron's first spike.

    A silent neuron counts as firing at the last step; `snnhw.ir.MSETemporal` says what the gradient is.
    """
    return _loss(CETemporal, reduction, weight, inverse=inverse)


def mse_count_loss(
    correct_rate: float = 1.0,
    incorrect_rate: float = 0.0,
    population_code: bool = False,
    num_classes: int | Literal[False] = False,
    reduction: Reduction = "mean",
    weight: Any = None,
) -> Loss:
    """Squared distance of the spike counts from ``floor(T * rate)``, divided by T.

    With a population, counts are those of all its neurons, and so are the targets.
    """
    classes = _classes(population_code, num_classes)
    return _loss(
        MSECount,
        reduction,
        weight,
        correct_rate=correct_rate,
        incorrect_rate=incorrect_rate,
        num_classes=classes,
    )


def mse_membrane_loss(
    time_var_targets: bool = False,
    on_target: float = 1.0,
    off_target: float = 0.0,
    reduction: Reduction = "mean",
    weight: Any = None,
) -> Loss:
    """Squared distance of the membrane from the membrane that is wanted, averaged over time.

    Targets are the values that are wanted: ``[T, B, C]``, as for regression, or ``[B, C]`` where they are the
    same at every step. Class numbers, ``[B]`` or ``[T, B]``, stand for ``on_target`` at the right class and
    ``off_target`` at the others.

    Args:
        time_var_targets: the targets change over time, as `snnhw.backprop` has to know; and class numbers
            with one axis are ``[T]``, the same for all samples. Without ``weight``.
        on_target, off_target: in the units of the membrane.
        reduction, weight: see this module.
    """
    if time_var_targets:
        _unweighted("time_var_targets=True", weight)
    return _loss(
        MSEMembrane,
        reduction,
        weight,
        on_target=on_target,
        off_target=off_target,
        time_var_targets=bool(time_var_targets),
    )


def mse_temporal_loss(
    target_is_time: bool = False,
    on_target: float | Sequence[float] = 0,
    off_target: float | Sequence[float] = -1,
    tolerance: float = 0,
    multi_spike: bool = False,
    reduction: Reduction = "mean",
    weight: Any = None,
) -> Loss:
    """Squared distance of the steps of the first spikes from their targets, in units of T.

    Args:
        target_is_time: targets are steps ``[B, C]`` rather than class numbers (``[F, B, C]`` with
            ``multi_spike``). Without ``weight``.
        on_target, off_target: the step at which the right class, and the others, should first fire;
            negative ones count from the end. With ``multi_spike`` F steps each.
        tolerance: a step less than this far from its target is as good as the target.
        multi_spike: the first F spikes rather than the first. For tensors only, without ``weight``.
        reduction, weight: see this module.

    A silent neuron counts as firing at the last step; `snnhw.ir.MSETemporal` says what the gradient is.
    """
    if target_is_time or multi_spike:
        _unweighted("target_is_time=True" if target_is_time else "multi_spike=True", weight)
    if not multi_spike:
        given = {"on_target": on_target, "off_target": off_target, "tolerance": tolerance}
        return _loss(MSETemporal, reduction, weight, target_is_time=bool(target_is_time), **given)
    on, off = (_steps(steps) for steps in (on_target, off_target))
    return Loss((Term(SpikeSteps(reduction, bool(target_is_time), on, off, tolerance)),))


def _loss(kind: type[ClassLoss], reduction: str, weight: Any, **settings: Any) -> Loss:
    if reduction not in ("mean", "sum", "none"):
        raise InputError(f"reduction={brief(reduction)}: give 'mean', 'sum' or 'none'")
    each = reduction == "none"
    value = kind(class_weights=_weights(weight), reduction="sum" if each else reduction, **settings)  # type: ignore[arg-type]  # checked above
    return Loss((Term(Unreduced(value) if each else value),))


def _weights(weight: Any) -> tuple[float, ...] | None:
    if weight is None:
        return None
    try:
        return tuple(float(each) for each in weight)
    except TypeError:
        raise InputError(
            f"weight={brief(weight)}: give one number for each class, such as a tensor [classes], or None"
        ) from None


def _classes(population_code: bool, num_classes: int | Literal[False]) -> int | None:
    if not population_code:
        return None
    if not num_classes:
        raise InputError("population_code=True needs num_classes: how many classes share the neurons")
    return num_classes


def _steps(steps: float | Sequence[float]) -> tuple[float, ...]:
    return tuple(map(float, steps)) if isinstance(steps, Sequence) else (float(steps),)


def _unweighted(option: str, weight: Any) -> None:
    if weight is not None:
        raise InputError(f"{option} has no single class for a sample to be weighted by; leave weight out")
