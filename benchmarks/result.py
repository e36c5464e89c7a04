"""What comes of one case, one mode and one peer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from benchmarks.case import Case, Mode

__all__ = ["Name", "Result", "Skipped", "label"]


class Name(NamedTuple):
    """Which row."""

    workload: str
    mode: str
    peer: str


@dataclass(frozen=True)
class Result:
    """A row. Times and ratios are None where the sides disagree: then nothing is timed.

    Attributes:
        mode: what was timed, and on which variant of the workload.
        ratio: peer / ours, the median of neighbouring timings; low and high are percentiles 10 and 90.
        pairs: how many timings of both sides that is.
        ours_peak_mb: memory at the peak, on top of libraries and compiled kernels.
        correct: whether both sides compute the same.
        note: how far they agree.
        ours_roofline: share of a copy's bandwidth, counting the bytes that cannot be saved; only on a GPU.
    """

    workload: str
    mode: str
    peer: str
    ratio: float | None
    ratio_low: float | None
    ratio_high: float | None
    ours_ms: float | None
    peer_ms: float | None
    pairs: int | None
    ours_peak_mb: float | None
    peer_peak_mb: float | None
    correct: bool
    aim: float | None
    title: str
    steps: int
    batch: int
    note: str
    ours_roofline: float | None = None
    peer_roofline: float | None = None


@dataclass(frozen=True)
class Skipped:
    """A row that is not there, and why."""

    workload: str
    mode: str
    peer: str
    reason: str


def label(case: Case, mode: Mode) -> str:
    """Mode and variant: ``fwd+bwd static``."""
    return f"{mode} {case.variant}".strip()
