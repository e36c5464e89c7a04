"""Histograms that grow with what they are given, the same whatever the order and the parts.

The width of a bin is a power of two, and bins begin at multiples of it, so that two narrow bins are exactly
one wide one: the result depends on the values alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import frexp
from typing import Final

import numpy as np

from snnhw.target import Array

__all__ = ["BINS", "Histogram", "histogram"]

BINS: Final = 64
"""At most so many."""

PRECISION: Final = 40
"""Bits of the largest value that tell bins apart."""

NARROWEST: Final = -100
"""Exponent of a bin where nothing differs."""


@dataclass(frozen=True)
class Histogram:
    """How many values lie in each bin.

    Attributes:
        exponent: a bin is ``2 ** exponent`` wide.
        first: the first bin begins at so many widths.
        counts: of each bin.
    """

    exponent: int
    first: int
    counts: tuple[int, ...]

    @property
    def edges(self) -> tuple[float, ...]:
        """Where bins begin and end: one more than there are bins."""
        return tuple((self.first + n) * 2.0**self.exponent for n in range(len(self.counts) + 1))

    def __add__(self, other: Histogram) -> Histogram:
        """Of the values of both."""
        exponent = max(self.exponent, other.exponent)
        while True:
            ends = [each._wider(exponent) for each in (self, other)]
            low = min(first for first, _ in ends)
            high = max(first + len(counts) for first, counts in ends)
            if high - low <= BINS:
                break
            exponent += 1
        total = np.zeros(high - low, np.int64)
        for first, counts in ends:
            total[first - low : first - low + len(counts)] += counts
        return Histogram(exponent, low, tuple(total.tolist()))

    def _wider(self, exponent: int) -> tuple[int, Array]:
        """First bin and counts, in bins of that width."""
        at = (self.first + np.arange(len(self.counts))) >> min(exponent - self.exponent, 62)
        counts = np.zeros(at[-1] - at[0] + 1, np.int64)
        np.add.at(counts, at - at[0], self.counts)
        return int(at[0]), counts


def histogram(values: Array) -> Histogram:
    """Of finite values, at least one."""
    found = np.asarray(values, np.float64).ravel()
    low, high = float(found.min()), float(found.max())
    exponent = max(_exponent((high - low) / BINS), _exponent(max(abs(low), abs(high))) - PRECISION)
    while np.floor(high / 2.0**exponent) - np.floor(low / 2.0**exponent) >= BINS:
        exponent += 1
    at = np.floor(found / 2.0**exponent)
    first = int(at.min())
    counts = np.bincount((at - first).astype(np.int64))
    return Histogram(exponent, first, tuple(counts.tolist()))


def _exponent(value: float) -> int:
    """The smallest power of two above it."""
    return frexp(value)[1] if value else NARROWEST
