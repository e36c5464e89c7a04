"""Rate coding: the larger a value, the more often it spikes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor

from snnhw.errors import InputError
from snnhw.spikegen.arguments import Steps, check_steps, floating

__all__ = ["rate", "rate_conv"]


def rate(
    data: Any,
    num_steps: Steps = False,
    gain: float = 1,
    offset: float = 0,
    first_spike_time: int = 0,
    time_var_input: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Spikes that fall at every step with probability ``clamp(gain * data + offset, 0, 1)``.

    Args:
        data: ``[B, ...]``, the same at every step; with ``time_var_input`` ``[T, B, ...]``.
        num_steps: T; left out with ``time_var_input``.
        gain, offset: applied to the data, also where it changes over time.
        first_spike_time: steps without spikes at the start: of the T steps, or with
            ``time_var_input`` before them.
        time_var_input: the data has a step of its own for every step.
        generator: of the random numbers.

    Returns:
        spikes ``[T, B, ...]``; with ``time_var_input`` ``[first_spike_time + T, B, ...]``.

    Raises:
        InputError: num_steps is missing or one too many, or is not more than first_spike_time.
    """
    check_steps("rate", num_steps, first_spike_time)
    values = floating("rate", data) * gain + offset
    if time_var_input:
        if num_steps:
            raise InputError("rate(time_var_input=True) takes T from the data; leave num_steps out")
        quiet = values.new_zeros(first_spike_time, *values.shape[1:])
        return torch.cat([quiet, rate_conv(values, generator=generator)])
    if not num_steps:
        raise InputError("rate needs num_steps; for data [T, B, ...] set time_var_input=True instead")
    spikes = rate_conv(values.expand(num_steps, *values.shape), generator=generator)
    spikes[:first_spike_time] = 0
    return spikes


def rate_conv(data: Any, *, generator: Generator | None = None) -> Tensor:
    """One draw for every value: 1 with probability ``clamp(data, 0, 1)``, else 0; of the data's shape."""
    return torch.bernoulli(floating("rate_conv", data).clamp(0, 1), generator=generator)
