"""Judging one port of a backend at one step, and adding up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from snnhw.parity.arrays import Array
from snnhw.parity.rounding.bounded import Bounded
from snnhw.parity.rounding.firing import Spikes
from snnhw.parity.rounding.walk import Moment

__all__ = ["Judged", "Mismatch", "judge_port", "largest_while_equal"]


@dataclass(frozen=True)
class Mismatch:
    """One value that is not the reference's.

    Attributes:
        port: where; step, sample and index: when and which.
        got: what the backend returned; wanted: what the reference gives.
        bound: how far apart the two may be; of a spike, how far from its threshold a neuron may be and
            still be turned round by rounding.
        distance: of a spike: how far from its threshold the reference's neuron is; None for any other value.
        explained: whether rounding explains it: by itself, or by an explained spike before it.
        ruled: whether a rule explains it that is known of whoever gave it, and rounding therefore does not.
    """

    port: str
    step: int
    sample: int
    index: tuple[int, ...]
    got: float
    wanted: float
    bound: float
    distance: float | None = None
    explained: bool = False
    ruled: bool = False

    @property
    def tie(self) -> bool:
        """Whether it is a spike of a neuron that is exactly at its threshold."""
        return self.distance == 0.0

    @property
    def where(self) -> str:
        """Port, step, sample and neuron, in words."""
        which = "".join(f", {axis}" for axis in self.index)
        return f"{self.port} at [t={self.step}, b={self.sample}{which}]"

    def __str__(self) -> str:
        values = f"{self.where} is {self.got!r}, not {self.wanted!r}"
        if self.distance is None:
            return f"{values}, where rounding explains {self.bound:.2g}"
        return f"{values}, {self.distance:.2g} from its threshold, where rounding reaches {self.bound:.2g}"


@dataclass(frozen=True, eq=False)
class Judged:
    """One port at one step.

    Attributes:
        flipped: for each sample, whether a spike differs.
        error: for each sample, the largest distance of a state from the reference.
        fired: how many of the reference's spikes are not 0.
        reach: how far from its threshold rounding can turn a neuron round, at most.
        ruled: how many of those that differ a known rule explains.
        first: the first value that rounding does not explain; flip: the first spike that differs.
    """

    port: str
    step: int
    flipped: Array
    error: Array
    spikes: int = 0
    fired: int = 0
    reach: float = 0.0
    mismatches: int = 0
    excused: int = 0
    outside: int = 0
    ruled: int = 0
    first: Mismatch | None = None
    flip: Mismatch | None = None

    @property
    def node(self) -> str:
        """Whose port it is."""
        return self.port.rpartition(".")[0]


def judge_port(moment: Moment, port: str, observed: Array, step: int, ruled: Array | None = None) -> Judged:
    """Hold what a backend returned at a port, ``[T, B, ...]``, to one moment of the reference.

    Args:
        ruled: where a known rule explains a spike that differs, ``[T, B, ...]``.
    """
    node, _, name = port.rpartition(".")
    if name == "spk" and node in moment.spikes:
        by_rule = np.zeros(observed[step].shape, bool) if ruled is None else ruled[step]
        return _judge_spikes(moment.spikes[node], port, observed[step], step, by_rule)
    return _judge_values(moment.ports[port], port, observed[step], step)


def _judge_spikes(spikes: Spikes, port: str, got: Array, step: int, ruled: Array) -> Judged:
    """A spike is one of two values, so it equals the reference's or it does not."""
    differs = got != spikes.value.astype(got.dtype)
    excused = differs & spikes.open & (got == spikes.other.astype(got.dtype)) & ~ruled
    seen = _Seen(port, step, got, spikes.value, spikes.z.error, np.abs(spikes.z.value))
    return Judged(
        port=port,
        step=step,
        flipped=np.any(_by_sample(differs), axis=1),
        error=np.zeros(len(got)),
        spikes=got.size,
        fired=int(np.count_nonzero(spikes.value)),
        reach=float(np.max(spikes.z.error, initial=0.0, where=np.isfinite(spikes.z.error))),
        mismatches=int(differs.sum()),
        excused=int(excused.sum()),
        ruled=int((differs & ruled).sum()),
        first=seen.first(differs & ~excused, excused, ruled),
        flip=seen.first(differs, excused, ruled),
    )


def _judge_values(reference: Bounded, port: str, got: Array, step: int) -> Judged:
    wanted, bound = reference.value, reference.error
    with np.errstate(invalid="ignore"):  # infinity less itself
        error = np.where(got == wanted, 0.0, np.abs(got.astype(np.float64) - wanted))
    outside = ~((error <= bound) | (np.isnan(got) & np.isnan(wanted)))
    return Judged(
        port=port,
        step=step,
        flipped=np.zeros(len(got), bool),
        error=_by_sample(error).max(axis=1),
        outside=int(outside.sum()),
        first=_Seen(port, step, got, wanted, bound).first(outside),
    )


def _by_sample(array: Array) -> Array:
    return array.reshape(len(array), -1)


@dataclass(frozen=True, eq=False)
class _Seen:
    """One port at one step: what came, what was wanted, and how far apart the two may be."""

    port: str
    step: int
    got: Array
    wanted: Array
    bound: Array | float
    distance: Array | None = None

    def first(
        self, wrong: Array, explained: Array | None = None, ruled: Array | None = None
    ) -> Mismatch | None:
        """The first of some wrong values, in the order of samples."""
        if not wrong.any():
            return None
        sample, *index = where = tuple(int(axis) for axis in np.argwhere(wrong)[0])
        return Mismatch(
            port=self.port,
            step=self.step,
            sample=sample,
            index=tuple(index),
            got=float(self.got[where]),
            wanted=float(self.wanted[where]),
            bound=float(np.broadcast_to(self.bound, wrong.shape)[where]),
            distance=None if self.distance is None else float(self.distance[where]),
            explained=explained is not None and bool(explained[where]),
            ruled=ruled is not None and bool(ruled[where]),
        )


def largest_while_equal(found: Sequence[Judged], time_steps: int, node: str | None = None) -> float | None:
    """The largest error of a state before the first differing spike of its sample.

    None where spikes differ in every sample from the first step on: then there is nothing to compare.

    Args:
        found: all ports of the first step, of the second, and so on.
        node: whose states; None: of all nodes.
    """
    if not found:
        return None
    flipped = np.stack([each.flipped for each in found])
    error = np.stack(
        [each.error if node in (None, each.node) else np.zeros_like(each.error) for each in found]
    )
    samples = flipped.shape[1]
    equal = ~np.logical_or.accumulate(flipped.reshape(time_steps, -1, samples).any(axis=1))
    worst = error.reshape(time_steps, -1, samples).max(axis=1)
    return float(worst[equal].max()) if equal.any() else None
