"""Quantised states: ``state_quant=quant.state_quant(num_bits=4)`` of a neuron."""

from __future__ import annotations

from itertools import accumulate
from math import floor
from typing import Final

import torch
from torch import Tensor

from snnhw.errors import InputError
from snnhw.tensors.autograd import graft
from snnhw.words import brief

__all__ = ["StateQuant", "state_quant"]

_MULTIPLIERS: Final = {1: 0.05, 2: 0.1, 3: 0.3, 4: 0.5, 5: 0.7, 6: 0.9, 7: 0.925}
"""Bits -> ratio of neighbouring gaps between levels; 0.95 for more bits (snnTorch's choice)."""

MOST_BITS: Final = 16


class StateQuant:
    """Rounds tensors to the nearest of its levels; a gradient passes unchanged.

    Attributes:
        levels: ``[L]``, ascending; what a neuron, and every backend, takes from it.
    """

    def __init__(self, levels: Tensor) -> None:
        self.levels = levels

    def __call__(self, x: Tensor) -> Tensor:
        """``x`` of any shape and floating dtype, rounded; halfway between two levels, to the lower."""
        levels = self.levels.to(x)
        between = (levels[1:] + levels[:-1]) / 2
        rounded = levels[torch.bucketize(x.detach(), between)]  # halfway: the lower level
        return graft(rounded, x, torch.ones_like(x))

    def __repr__(self) -> str:
        return f"StateQuant({len(self.levels)} levels from {self.levels[0]:.6g} to {self.levels[-1]:.6g})"


def state_quant(
    num_bits: int = 8,
    uniform: bool = True,
    thr_centered: bool = True,
    threshold: float = 1,
    lower_limit: float = 0,
    upper_limit: float = 0.2,
    multiplier: float | None = None,
) -> StateQuant:
    """``2**num_bits`` levels from ``-threshold (1 + lower_limit)`` to ``threshold (1 + upper_limit)``.

    Args:
        num_bits: 1 to 16.
        uniform: evenly spaced; else the gaps shrink by ``multiplier`` from one to the next, towards ...
        thr_centered: ... the threshold, or else 0.
        threshold: of the neuron, in units of its membrane.
        lower_limit, upper_limit: how far beyond the threshold levels reach, as shares of it.
        multiplier: ratio of neighbouring gaps; None: one that suits ``num_bits``.

    Raises:
        InputError: another number of bits, or limits that leave no room for levels.
    """
    if type(num_bits) is not int or not 1 <= num_bits <= MOST_BITS:
        raise InputError(
            f"state_quant(num_bits={brief(num_bits)}): give a whole number from 1 to {MOST_BITS}"
        )
    low, high = -threshold * (1 + lower_limit), threshold * (1 + upper_limit)
    centre = threshold if thr_centered else 0
    if not low < centre <= high or low == high:
        raise InputError(
            f"state_quant(threshold={threshold}, lower_limit={lower_limit}, upper_limit={upper_limit}) has "
            f"levels from {low:g} to {high:g}, which leaves no room around {centre:g}; widen the limits"
        )
    if uniform:
        return StateQuant(torch.linspace(low, high, 2**num_bits))
    ratio = multiplier if multiplier is not None else _MULTIPLIERS.get(num_bits, 0.95)
    below = floor(2**num_bits * (centre - low) / (high - low))
    return StateQuant(
        torch.tensor(
            [*_down_to(low, centre, below, ratio), *_up_from(centre, high, 2**num_bits - below, ratio)]
        )
    )


def _down_to(low: float, centre: float, count: int, ratio: float) -> list[float]:
    """Levels from ``low`` in shrinking steps, the last of which would reach the centre."""
    gaps = _gaps(centre - low, count, ratio)
    return list(accumulate(gaps[:-1], initial=low)) if gaps else []


def _up_from(centre: float, high: float, count: int, ratio: float) -> list[float]:
    """Levels above the centre in growing steps, the last at ``high``."""
    return list(accumulate(reversed(_gaps(high - centre, count, ratio)), initial=centre))[1:]


def _gaps(width: float, count: int, ratio: float) -> list[float]:
    """So many gaps, each ``ratio`` of the one before, that together fill a width."""
    sizes = [ratio**place for place in range(count)]
    return [size * width / sum(sizes) for size in sizes]
