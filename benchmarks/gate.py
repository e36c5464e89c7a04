"""Before anything is timed: do both sides compute the same thing?

Sums of the same numbers in another order differ in their last bits, and now and then that decides
whether a membrane is above its threshold. So the first spike in which two runs of a sample differ is
excused only if both membranes stood within `MARGIN` of the threshold; what follows in that sample
follows from it. Membranes, losses and gradients are compared on the samples without such a spike.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Final, NamedTuple

import torch
from torch import Tensor

from benchmarks.case import Case, Mode
from benchmarks.inputs import Data
from benchmarks.layers import neurons
from benchmarks.side import Grads, Side, Trace

__all__ = ["MARGIN", "Verdict", "check"]

MARGIN: Final = 1e-4
"""Of the largest membrane or the threshold: float32 adds up a thousand products to about 1e-6 of it."""

RARE: Final = 1e-3
"""Share of spikes that may differ in all, with the excuse above."""

CLOSE: Final = 1e-3
"""Relative distance of losses and gradients: sums of up to a million terms, in two orders."""

HALF: Final = 1e-2
"""The same, and the margin, where signals are 16 bits: bfloat16 rounds to 4e-3."""

WITH_GRADIENTS: Final = frozenset({"train", "fwd+bwd"})
"""Modes that compute gradients."""


class Verdict(NamedTuple):
    """Whether both sides agree, and what there is to say about it."""

    correct: bool
    note: str


class Rule(NamedTuple):
    """What excuses a spike that differs: by layer its threshold, the margin, and when it resets."""

    thresholds: dict[str, float]
    margin: float
    immediate: bool


class Found(NamedTuple):
    """The comparison of spikes.

    Attributes:
        differing: spikes that differ; of: spikes compared.
        clean: numbers of the samples in which none differs.
        first: the first step in which one differs, or T.
        unexplained: first differences that no margin excuses.
        membranes: the largest distance of membranes in clean samples, of the largest membrane.
    """

    differing: int
    of: int
    clean: Tensor
    first: int
    unexplained: int
    membranes: float


def check(case: Case, mode: Mode, ours: Side, peer: Side, data: Data, *, immediate: bool) -> Verdict:
    """Compare two sides of a case.

    Args:
        immediate: membranes are those after the reset of the same step.
    """
    margin, close = (MARGIN, CLOSE) if case.dtype == "float32" else (HALF, HALF)
    thresholds = {name: spec.constant("threshold") for name, spec in neurons(case.net)}
    rule = Rule(thresholds, margin, immediate)
    found = _compare(_single(ours.traces(data)), _single(peer.traces(data)), rule)
    notes = [_spikes_in_words(found, data, margin)]
    correct = not found.unexplained and found.differing <= RARE * found.of and found.membranes <= margin
    if mode in WITH_GRADIENTS:
        kept = data.take(found.clean) if len(found.clean) else data.until(max(1, found.first))
        distance, words = _distance(ours.gradients(mode, kept), peer.gradients(mode, kept))
        correct = correct and distance <= close
        notes.append(words)
    return Verdict(correct, "; ".join(notes))


def _single(traces: dict[str, Trace]) -> dict[str, Trace]:
    return {name: Trace(trace.spk.float(), trace.mem.float()) for name, trace in traces.items()}


def _compare(
    ours: dict[str, Trace],
    peer: dict[str, Trace],
    rule: Rule,
) -> Found:
    names = list(rule.thresholds)
    differs = {name: ours[name].spk != peer[name].spk for name in names}
    steps, batch = differs[names[0]].shape[:2]
    anywhere = torch.stack([_by_sample(differs[name]) for name in names]).any(0)
    first = torch.where(anywhere.any(0), anywhere.int().argmax(0), steps)
    clean = (first == steps).nonzero().flatten()
    unexplained = sum(
        _unexplained(differs, (ours, peer), (int(first[sample]), sample), rule)
        for sample in range(batch)
        if first[sample] < steps
    )
    distances = [_apart(ours[name].mem[:, clean], peer[name].mem[:, clean]) for name in names]
    return Found(
        differing=sum(int(each.sum()) for each in differs.values()),
        of=sum(each.numel() for each in differs.values()),
        clean=clean,
        first=int(first.min()),
        unexplained=unexplained,
        membranes=max(distances),
    )


def _by_sample(differs: Tensor) -> Tensor:
    """``[T, B]``."""
    return differs.flatten(2).any(2)


def _unexplained(
    differs: dict[str, Tensor],
    sides: Iterable[dict[str, Trace]],
    place: tuple[int, int],
    rule: Rule,
) -> int:
    """Differences in the lowest layer at the first step of a sample that stand too far from the threshold."""
    step, sample = place
    name = next(name for name, each in differs.items() if each[step, sample].any())
    where, threshold = differs[name][step, sample], rule.thresholds[name]
    far = torch.zeros(int(where.sum()), dtype=torch.bool, device=where.device)
    for side in sides:
        spk, mem = side[name].spk[step, sample], side[name].mem[step, sample]
        before = mem + spk * threshold if rule.immediate else mem
        largest = max(threshold, float(side[name].mem[:, sample].abs().max()))
        far |= (before[where] - threshold).abs() > rule.margin * largest
    return int(far.sum())


def _apart(a: Tensor, b: Tensor) -> float:
    """Largest distance, of the largest value."""
    return float((a - b).abs().max() / b.abs().max().clamp_min(1e-6)) if a.numel() else 0.0


def _distance(ours: Grads, peer: Grads) -> tuple[float, str]:
    """The largest relative distance of two sets of gradients, and how to say it."""
    common = sorted(ours.keys() & peer.keys())
    if not any(peer[name].any() for name in common if name != "loss"):
        return inf, "all gradients are zero, which says nothing"
    apart = {name: _relative(ours[name], peer[name]) for name in common}
    worst = max(apart, key=apart.__getitem__)
    alone = sorted(ours.keys() ^ peer.keys())
    words = f"gradients within {apart[worst]:.0e} ({worst})"
    return apart[worst], words + (f"; not compared: {', '.join(alone)}" if alone else "")


def _relative(a: Tensor, b: Tensor) -> float:
    a, b = a.reshape(-1).double(), b.reshape(-1).double()
    return float((a - b).norm() / b.norm().clamp_min(1e-12))


def _spikes_in_words(found: Found, data: Data, margin: float) -> str:
    if not found.differing:
        return "all spikes equal"
    touched = len(data.y) - len(found.clean)
    words = f"{found.differing} of {found.of} spikes differ, in {touched} of {len(data.y)} samples"
    if found.unexplained:
        return f"{words}, {found.unexplained} of them far from the threshold"
    return f"{words}, each from one within {margin:g} of the threshold"
