"""Times of two jobs, taken in turns, so that whatever else the machine does meets both."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from statistics import median, quantiles
from time import perf_counter
from typing import Final

import torch

from benchmarks.side import Job

__all__ = ["WARM_UP", "Clock", "Timing", "by_events", "by_the_host", "compare"]

Clock = Callable[[Job, int], float]
"""Seconds that so many calls of a job take."""

WARM_UP: Final = 3
"""Calls before any is timed: kernels are compiled, pools filled, threads started."""

LONG_ENOUGH: Final = 0.02
"""Seconds that one timing takes at least; a shorter job is repeated within it."""

FEWEST: Final = 5
"""Pairs of timings, however long they take."""


@dataclass(frozen=True)
class Timing:
    """Milliseconds per call, and ratios of neighbouring timings.

    Attributes:
        ratio: median of peer / ours; ``low`` and ``high`` are its 10th and 90th percentile.
    """

    ours_ms: float
    peer_ms: float
    ratio: float
    ratio_low: float
    ratio_high: float
    pairs: int


def by_the_host(job: Job, calls: int) -> float:
    begun = perf_counter()
    for _ in range(calls):
        job()
    return perf_counter() - begun


def by_events(job: Job, calls: int) -> float:
    """From the first call to the end of the last one's work on the GPU, by the GPU's own clock."""
    begun, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    begun.record()
    for _ in range(calls):
        job()
    ended.record()
    torch.cuda.synchronize()
    return 1e-3 * float(begun.elapsed_time(ended))


def compare(
    ours: Job,
    peer: Job,
    *,
    repeats: int,
    seconds: float,
    clock: Clock = by_the_host,
    warm_up: int = WARM_UP,
) -> Timing:
    """Time two jobs in turns, each of them first in every other pair.

    Args:
        repeats: pairs of timings.
        seconds: stop after this long, but not before `FEWEST` pairs.
        clock: what takes the time.
        warm_up: calls before any is timed.
    """
    jobs = (ours, peer)
    calls = [_calls(job, clock, warm_up) for job in jobs]
    pairs: list[list[float]] = []
    begun = perf_counter()
    with collected():
        while len(pairs) < repeats and (len(pairs) < FEWEST or perf_counter() - begun < seconds):
            pair = [0.0, 0.0]
            for side in (0, 1) if len(pairs) % 2 else (1, 0):
                pair[side] = _time(jobs[side], calls[side], clock)
            pairs.append(pair)
    return _summary(pairs)


@contextmanager
def collected() -> Iterator[None]:
    """No garbage is collected meanwhile, but for when we ask, and then only what is new."""
    enabled = gc.isenabled()
    gc.disable()
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        if enabled:
            gc.enable()


def _calls(job: Job, clock: Clock = by_the_host, warm_up: int = WARM_UP) -> int:
    """Warm up, and see how many calls one timing needs."""
    for _ in range(warm_up):
        seconds = clock(job, 1)
    return max(1, ceil(LONG_ENOUGH / seconds))


def _time(job: Job, calls: int, clock: Clock = by_the_host) -> float:
    """Seconds of one call."""
    gc.collect()
    return clock(job, calls) / calls


def _summary(pairs: list[list[float]]) -> Timing:
    ratios = [peer / ours for ours, peer in pairs]
    tenths = quantiles(ratios, n=10, method="inclusive") if len(ratios) > 1 else ratios * 9
    return Timing(
        ours_ms=1e3 * median(ours for ours, _ in pairs),
        peer_ms=1e3 * median(peer for _, peer in pairs),
        ratio=median(ratios),
        ratio_low=tenths[0],
        ratio_high=tenths[-1],
        pairs=len(pairs),
    )
