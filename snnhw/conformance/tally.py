"""Judging one port of a backend at one step, and adding up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from snnhw.conformance.bounded import Bounded
from snnhw.conformance.case import Array
from snnhw.conformance.firing import Spikes
from snnhw.conformance.walk import Moment

__all__ = ["Judged", "Mismatch", "judge_port", "largest_while_equal"]


@dataclass(frozen=True)
class Mismatch:
    """One value that is not the reference's.

    Attributes:
        port: where; step, sample and index: when and which.
        got: what the backend returned; wanted: what the reference gives.
        bound: how far apart the two may be.
    """

    port: str
    step: int
    sample: int
    index: tuple[int, ...]
    got: float
    wanted: float
    bound: float

    def __str__(self) -> str:
        which = "".join(f", {axis}" for axis in self.index)
        return (
            f"{self.port} at [t={self.step}, b={self.sample}{which}] is {self.got!r}, not {self.wanted!r}, "
            f"where rounding explains {self.bound:.2g}"
        )


@dataclass(frozen=True, eq=False)
class Judged:
    """One port at one step.

    Attributes:
        flipped: for each sample, whether a spike differs.
        error: for each sample, the largest distance of a state from the reference.
    """

    step: int
    flipped: Array
    error: Array
    spikes: int = 0
    mismatches: int = 0
    excused: int = 0
    outside: int = 0
    first: Mismatch | None = None


def judge_port(moment: Moment, port: str, observed: Array, step: int) -> Judged:
    """Hold what a backend returned at a port, ``[T, B, ...]``, to one moment of the reference."""
    node, _, name = port.rpartition(".")
    if name == "spk" and node in moment.spikes:
        return _judge_spikes(moment.spikes[node], port, observed[step], step)
    return _judge_values(moment.ports[port], port, observed[step], step)


def _judge_spikes(spikes: Spikes, port: str, got: Array, step: int) -> Judged:
    """A spike is one of two values, so it equals the reference's or it does not."""
    differs = got != spikes.value.astype(got.dtype)
    excused = differs & spikes.open & (got == spikes.other.astype(got.dtype))
    return Judged(
        step=step,
        flipped=np.any(_by_sample(differs), axis=1),
        error=np.zeros(len(got)),
        spikes=got.size,
        mismatches=int(differs.sum()),
        excused=int(excused.sum()),
        first=_first(differs & ~excused, got, Bounded(spikes.value), port, step),
    )


def _judge_values(reference: Bounded, port: str, got: Array, step: int) -> Judged:
    wanted, bound = reference.value, reference.error
    with np.errstate(invalid="ignore"):  # infinity less itself
        error = np.where(got == wanted, 0.0, np.abs(got.astype(np.float64) - wanted))
    outside = ~((error <= bound) | (np.isnan(got) & np.isnan(wanted)))
    return Judged(
        step=step,
        flipped=np.zeros(len(got), bool),
        error=_by_sample(error).max(axis=1),
        outside=int(outside.sum()),
        first=_first(outside, got, reference, port, step),
    )


def _by_sample(array: Array) -> Array:
    return array.reshape(len(array), -1)


def _first(wrong: Array, got: Array, reference: Bounded, port: str, step: int) -> Mismatch | None:
    """The first of some wrong values, in the order of samples."""
    if not wrong.any():
        return None
    sample, *index = where = tuple(int(axis) for axis in np.argwhere(wrong)[0])
    bound = np.broadcast_to(reference.error, wrong.shape)
    return Mismatch(
        port=port,
        step=step,
        sample=sample,
        index=tuple(index),
        got=float(got[where]),
        wanted=float(reference.value[where]),
        bound=float(bound[where]),
    )


def largest_while_equal(found: Sequence[Judged], time_steps: int) -> float:
    """The largest error of a state before the first differing spike of its sample.

    Args:
        found: all ports of the first step, of the second, and so on.
    """
    if not found:
        return 0.0
    flipped = np.stack([each.flipped for each in found])
    error = np.stack([each.error for each in found])
    samples = flipped.shape[1]
    equal = ~np.logical_or.accumulate(flipped.reshape(time_steps, -1, samples).any(axis=1))
    return float(np.max(error.reshape(time_steps, -1, samples).max(axis=1), where=equal, initial=0.0))
