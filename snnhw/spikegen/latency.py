"""Latency coding: the larger a value, the earlier its one spike."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from snnhw.errors import InputError
from snnhw.spikegen.arguments import Steps, check_between, check_steps, floating
from snnhw.spikegen.trains import latency_interpolate

__all__ = ["latency", "latency_code", "latency_code_linear", "latency_code_log"]


def latency(
    data: Any,
    num_steps: Steps = False,
    threshold: float = 0.01,
    tau: float = 1,
    first_spike_time: int = 0,
    on_target: float = 1,
    off_target: float = 0,
    clip: bool = False,
    normalize: bool = False,
    linear: bool = False,
    interpolate: bool = False,
    bypass: bool = False,
    epsilon: float = 1e-7,
) -> Tensor:
    """One spike for every value, at the step nearest to its time; the times are those of `latency_code`.

    Args:
        data: ``[...]``, from 0 to 1.
        num_steps: T; may be left out with ``bypass``: up to the last spike.
        threshold: between 0 and 1; values below it spike as if they were at it.
        tau: time constant, in steps.
        first_spike_time: added to every time.
        on_target, off_target: what stands at a spike, and elsewhere.
        clip: values below the threshold do not spike.
        normalize: stretch the times over all steps.
        linear: times fall linearly with the value rather than logarithmically.
        interpolate: values rise linearly towards each spike (`latency_interpolate`).
        bypass: drop spikes after the last step rather than raise.
        epsilon: by how much values are kept above the threshold.

    Returns:
        ``[T, ...]``.

    Raises:
        InputError: data or settings out of range, or spikes after the last step.
    """
    values = floating("latency", data)
    if values.numel() and not (values.min() >= 0 and values.max() <= 1):  # so that NaN is refused, too
        raise InputError(
            f"latency takes data from 0 to 1; this is from {values.min():g} to {values.max():g}; "
            "scale it first"
        )
    if not num_steps and not bypass:
        raise InputError("latency needs num_steps; with bypass=True it ends with the last spike")
    times, low = latency_code(
        values,
        num_steps,
        threshold,
        tau,
        first_spike_time,
        normalize=normalize,
        linear=linear,
        epsilon=epsilon,
    )
    last = int(times.max().round()) if times.numel() else 0
    steps = num_steps or last + 1
    if last > steps - 1 and not bypass:
        raise InputError(
            f"latency has a spike at step {last}, but num_steps={steps} ends at {steps - 1}; give a smaller "
            "tau or normalize=True, or drop late spikes with bypass=True"
        )
    silent = low if clip else torch.zeros_like(low)
    if interpolate:
        ramps = latency_interpolate(times, steps, on_target, off_target)
        return ramps.masked_fill(silent, off_target)
    clock = torch.arange(steps, device=values.device).view(-1, *[1] * values.ndim)
    spikes = (clock == times.round()) & ~silent
    return torch.where(spikes, values.new_tensor(on_target), values.new_tensor(off_target))


def latency_code(
    data: Any,
    num_steps: Steps = False,
    threshold: float = 0.01,
    tau: float = 1,
    first_spike_time: int = 0,
    normalize: bool = False,
    linear: bool = False,
    epsilon: float = 1e-7,
) -> tuple[Tensor, Tensor]:
    """When each value spikes, in steps, and which values are below the threshold; both of the data's shape.

    Raises:
        InputError: settings out of range.
    """
    values = floating("latency_code", data)
    settings = {
        "num_steps": num_steps,
        "threshold": threshold,
        "tau": tau,
        "first_spike_time": first_spike_time,
        "normalize": normalize,
    }
    times = (
        latency_code_linear(values, **settings)  # type: ignore[arg-type]  # by name, as given
        if linear
        else latency_code_log(values, **settings, epsilon=epsilon)  # type: ignore[arg-type]
    )
    return times, values < threshold


def latency_code_linear(
    data: Any,
    num_steps: Steps = False,
    threshold: float = 0.01,
    tau: float = 1,
    first_spike_time: int = 0,
    normalize: bool = False,
) -> Tensor:
    """``t = tau (1 - max(data, threshold)) + first_spike_time``, in steps.

    With ``normalize`` tau is such that a value of 0 would spike at the last step; data above 1, which
    would spike before the start, is then stretched over all steps.

    Raises:
        InputError: settings out of range.
    """
    values = _checked("latency_code_linear", data, num_steps, threshold, tau, first_spike_time, normalize)
    room = int(num_steps or 0) - 1 - first_spike_time
    scale = room if normalize else tau
    times = torch.clamp_max(-scale * (values - 1), -scale * (threshold - 1))
    if normalize and times.numel() and times.min() < 0:
        times = (times - times.min()) / (times.max() - times.min()) * room
    return times + first_spike_time


def latency_code_log(
    data: Any,
    num_steps: Steps = False,
    threshold: float = 0.01,
    tau: float = 1,
    first_spike_time: int = 0,
    normalize: bool = False,
    epsilon: float = 1e-7,
) -> Tensor:
    """``t = tau ln(x / (x - threshold)) + first_spike_time`` with ``x = max(data, threshold + epsilon)``, in
    steps: the time at which a leaky membrane driven by x reaches the threshold.

    With ``normalize`` the latest falls on the last step.

    Raises:
        InputError: settings out of range.
    """
    values = _checked("latency_code_log", data, num_steps, threshold, tau, first_spike_time, normalize)
    half = values.dtype in (torch.float16, torch.bfloat16)  # where epsilon would be lost
    x = torch.clamp_min(values.float() if half else values, threshold + epsilon)
    times = tau * torch.log(x / (x - threshold))
    if normalize and times.numel():
        times = times * (int(num_steps or 0) - 1 - first_spike_time) / times.max()
    return (times + first_spike_time).to(values.dtype)


def _checked(
    what: str,
    data: Any,
    num_steps: Steps,
    threshold: float,
    tau: float,
    first_spike_time: int,
    normalize: bool,
) -> Tensor:
    check_between(what, 0, 1, ends=False, threshold=threshold)
    check_between(what, 0, float("inf"), ends=False, tau=tau)
    check_steps(what, num_steps, first_spike_time)
    if normalize and not num_steps:
        raise InputError(f"{what}(normalize=True) needs num_steps: what to stretch the times over")
    return floating(what, data)
