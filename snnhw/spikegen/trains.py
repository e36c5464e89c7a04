"""Trains of target spikes, and values that rise towards each spike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import torch
from torch import Generator, Tensor

from snnhw.errors import InputError
from snnhw.spikegen.arguments import check_between, floating
from snnhw.tensors.arrays import as_tensor
from snnhw.words import brief

__all__ = ["FiringPattern", "check_pattern", "latency_interpolate", "rate_interpolate", "target_rate_code"]

FiringPattern = Literal["regular", "uniform", "poisson"]


def _regular(first: int, steps: int, rate: float, generator: Generator | None) -> Tensor:  # noqa: ARG001
    return torch.arange(first, steps, 1 / rate, dtype=torch.float64).long()


def _uniform(first: int, steps: int, rate: float, generator: Generator | None) -> Tensor:
    count = len(_regular(first, steps, rate, None))
    return (torch.rand(count, generator=generator) * (steps - first) + first).long()


def _poisson(first: int, steps: int, rate: float, generator: Generator | None) -> Tensor:
    chances = torch.cat([torch.zeros(first), torch.full((steps - first,), rate)])
    return torch.bernoulli(chances, generator=generator).nonzero().flatten()


_PATTERNS: Final[Mapping[str, Callable[[int, int, float, Generator | None], Tensor]]] = {
    "regular": _regular,
    "uniform": _uniform,
    "poisson": _poisson,
}


def check_pattern(what: str, firing_pattern: str) -> str:
    """The pattern's name as the table has it."""
    name = str(firing_pattern).lower()
    if name not in _PATTERNS:
        raise InputError(
            f"{what}(firing_pattern={brief(firing_pattern)}): give one of {', '.join(_PATTERNS)}"
        )
    return name


def target_rate_code(
    num_steps: int,
    first_spike_time: int = 0,
    rate: float = 1,
    firing_pattern: FiringPattern = "regular",
    *,
    generator: Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """A train of spikes at a rate.

    Args:
        num_steps: T.
        first_spike_time: no spike comes before this step.
        rate: spikes per step, 0 to 1.
        firing_pattern: ``"regular"``: every ``1 / rate`` steps, rounded down; ``"uniform"``: as many,
            at random times (several may fall on one step); ``"poisson"``: at every step by chance.
        generator: of the random numbers.

    Returns:
        spikes ``[T]``, and the steps at which they are.

    Raises:
        InputError: a setting out of range.
    """
    check_between("target_rate_code", 0, 1, rate=rate)
    check_between("target_rate_code", 0, num_steps, first_spike_time=first_spike_time)
    pattern = _PATTERNS[check_pattern("target_rate_code", firing_pattern)]
    times = (
        pattern(first_spike_time, num_steps, rate, generator) if rate else torch.empty(0, dtype=torch.long)
    )
    return torch.zeros(num_steps).index_fill(0, times, 1), times


def rate_interpolate(
    spike_time: Any,
    num_steps: int,
    on_target: float = 1,
    off_target: float = 0,
    epsilon: float = 1e-7,  # noqa: ARG001  # snnTorch's: how far its ranges overshoot; nothing overshoots here
) -> Tensor:
    """Values that rise linearly from ``off_target`` to ``on_target`` before each spike: ``[T]``.

    A rise starts at the step after the spike before it, the first at step 0; a spike right after
    another is at ``on_target`` at once. After the last spike stands ``off_target``.

    Args:
        spike_time: steps ``[S]``, in any order.
    """
    spikes = as_tensor("rate_interpolate", "spike_time", spike_time, values=False).long()
    spikes = torch.unique(spikes)
    spikes = spikes[(spikes >= 0) & (spikes < num_steps)]
    steps = torch.arange(num_steps, device=spikes.device)
    place = torch.searchsorted(spikes, steps)  # of the spike that is next
    edges = torch.cat([spikes.new_tensor([-1]), spikes, spikes.new_tensor([num_steps])])
    start, end = edges[place] + 1, edges[place + 1]
    rise = torch.where(end > start, (steps - start) / (end - start).clamp_min(1), 1.0)
    rise = torch.where(steps == end, 1.0, rise)
    values = off_target + (on_target - off_target) * rise
    values = torch.where(steps == end, on_target, values)
    return torch.where(place < len(spikes), values, off_target)


def latency_interpolate(
    spike_time: Any, num_steps: int, on_target: float = 1, off_target: float = 0
) -> Tensor:
    """Values that rise linearly from ``off_target`` at step 0 to ``on_target`` at the spike, with
    ``off_target`` afterwards.

    Args:
        spike_time: ``[...]`` in steps, rounded to whole ones; of spikes after the last step nothing is seen.

    Returns:
        ``[T, ...]``.

    Raises:
        InputError: on_target is less than off_target.
    """
    if on_target < off_target:
        raise InputError(
            f"on_target={on_target} is less than off_target={off_target}; values rise to a spike"
        )
    times = floating("latency_interpolate", spike_time).round()
    steps = torch.arange(num_steps, device=times.device).view(-1, *[1] * times.ndim)
    values = off_target + (on_target - off_target) * (steps / times.clamp_min(1))
    values = torch.where(steps == times, on_target, values)
    return torch.where((steps <= times) & (times < num_steps), values, off_target).to(times.dtype)
