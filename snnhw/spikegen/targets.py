"""Class numbers as spikes for a network to match."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Generator, Tensor

from snnhw.errors import InputError
from snnhw.spikegen.arguments import Steps, check_between, check_steps
from snnhw.spikegen.latency import latency
from snnhw.spikegen.one_hot import to_one_hot
from snnhw.spikegen.trains import FiringPattern, check_pattern, rate_interpolate, target_rate_code
from snnhw.words import brief

__all__ = ["targets_convert", "targets_latency", "targets_rate"]


def targets_convert(
    targets: Any,
    num_classes: int,
    code: Literal["rate", "latency"] = "rate",
    num_steps: Steps = False,
    first_spike_time: int = 0,
    correct_rate: float = 1,
    incorrect_rate: float = 0,
    on_target: float = 1,
    off_target: float = 0,
    firing_pattern: FiringPattern = "regular",
    interpolate: bool = False,
    epsilon: float = 1e-7,
    threshold: float = 0.01,
    tau: float = 1,
    clip: bool = False,
    normalize: bool = False,
    linear: bool = False,
    bypass: bool = False,
) -> Tensor:
    """`targets_rate` or `targets_latency`, by ``code``; arguments of the other are ignored."""
    if code == "rate":
        return targets_rate(
            targets, num_classes, num_steps, first_spike_time, correct_rate, incorrect_rate,
            on_target, off_target, firing_pattern, interpolate, epsilon,
        )  # fmt: skip
    if code == "latency":
        return targets_latency(
            targets, num_classes, num_steps, first_spike_time, on_target, off_target,
            interpolate, threshold, tau, clip, normalize, linear, epsilon, bypass,
        )  # fmt: skip
    raise InputError(f"targets_convert(code={brief(code)}): give 'rate' or 'latency'")


def targets_rate(
    targets: Any,
    num_classes: int,
    num_steps: Steps = False,
    first_spike_time: int = 0,
    correct_rate: float = 1,
    incorrect_rate: float = 0,
    on_target: float = 1,
    off_target: float = 0,
    firing_pattern: FiringPattern = "regular",
    interpolate: bool = False,
    epsilon: float = 1e-7,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Target spikes at one rate for the right class and at another for the others.

    All neurons of one rate share one train (`target_rate_code`).

    Args:
        targets: class numbers ``[B]``.
        num_steps: T; may be left out at the usual rates and without first_spike_time.
        first_spike_time: no spike comes before this step.
        correct_rate, incorrect_rate: spikes per step, 0 to 1; the second not above the first.
        on_target, off_target: what stands at a spike, and elsewhere; either may be the larger.
        firing_pattern: of the trains.
        interpolate: values rise linearly towards each spike (`rate_interpolate`).
        generator: of the random numbers.

    Returns:
        ``[T, B, num_classes]``. At the usual rates, 1 and 0, without first_spike_time, all steps are
        the same and there is one: ``[B, num_classes]``.

    Raises:
        InputError: a setting out of range, or num_steps is missing.
    """
    check_between("targets_rate", 0, 1, correct_rate=correct_rate, incorrect_rate=incorrect_rate)
    check_steps("targets_rate", num_steps, first_spike_time)
    pattern = check_pattern("targets_rate", firing_pattern)
    if incorrect_rate > correct_rate:
        raise InputError(
            f"targets_rate(incorrect_rate={incorrect_rate}) is above correct_rate={correct_rate}; swap them"
        )
    right = to_one_hot(targets, num_classes).bool()
    usual = correct_rate == 1 and incorrect_rate == 0
    if usual and first_spike_time == 0:
        return _levels(right, on_target, off_target)
    if not num_steps:
        raise InputError("targets_rate needs num_steps for other rates than 1 and 0, and first_spike_time")

    def train(rate: float) -> Tensor:
        spikes, times = target_rate_code(num_steps or 0, first_spike_time, rate, pattern, generator=generator)  # type: ignore[arg-type]  # checked above
        if interpolate and not usual:
            values = rate_interpolate(times, num_steps or 0, on_target, off_target, epsilon)
        else:
            values = _levels(spikes.bool(), on_target, off_target)
        return values.to(right.device)[:, None, None]

    return torch.where(right, train(correct_rate), train(incorrect_rate))


def targets_latency(
    targets: Any,
    num_classes: int,
    num_steps: Steps = False,
    first_spike_time: int = 0,
    on_target: float = 1,
    off_target: float = 0,
    interpolate: bool = False,
    threshold: float = 0.01,
    tau: float = 1,
    clip: bool = False,
    normalize: bool = False,
    linear: bool = False,
    epsilon: float = 1e-7,
    bypass: bool = False,
) -> Tensor:
    """`latency` of the one-hot targets: the right class spikes first, ``[T, B, num_classes]``."""
    return latency(
        to_one_hot(targets, num_classes), num_steps, threshold, tau, first_spike_time, on_target, off_target,
        clip, normalize, linear, interpolate, bypass, epsilon,
    )  # fmt: skip


def _levels(spikes: Tensor, on: float, off: float) -> Tensor:
    levels = torch.tensor([off, on], dtype=torch.get_default_dtype(), device=spikes.device)
    return levels[spikes.long()]
