"""Evaluation a span of steps at a time: only what is wanted of a signal is ever in memory for all steps.

A product of more rows or fewer may form its sums in another order. So the length of a span follows from
shapes alone, never from T, and a run gives the same bits as several that hand on their state, where all but
the last take whole spans and layers run in the same way. Cut elsewhere, they differ in rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from snnhw.ir import Input
from snnhw.tensors.network.walk import Walk
from snnhw.tensors.watched import tracing, watched
from snnhw.tensors.work import Recorded

__all__ = ["Gathering", "span_steps", "spans"]

WHOLE: Final = Recorded(lambda x: (x.contiguous(),))


def span_steps(walk: Walk) -> int:
    """How many steps run at a time: in training all of them, as the way back needs their signals."""
    network, sizes = walk.network, walk.network.sizes
    learns = network.training or torch.is_grad_enabled()
    if learns or not sizes.span or tracing() or watched([walk.like]):
        return walk.steps
    step = network.widest * walk.batch * walk.like.element_size()
    return max(sizes.fewest, sizes.span // max(1, step))


def spans(whole: Walk, length: int) -> Iterator[tuple[int, Walk]]:
    """The first step of each part of a pass, and the part, to be run before the next is asked for; the pass
    itself where it is no longer than that. What does not change over time is there already."""
    if whole.steps <= length:
        yield 0, whole
        return
    program, static = whole.network.program, whole.network.schedule.static
    moving = {port for name in program.named(Input) if (port := f"{name}.y") not in static}
    signals = {port: x for port, x in whole.ports.items() if port in moving}
    fixed = {port: x for port, x in whole.ports.items() if port not in moving}
    for first in range(0, whole.steps, length):
        steps = min(length, whole.steps - first)
        given = {port: x[first : first + steps] for port, x in signals.items()}
        before, clock = {**whole.before, **whole.after}, whole.clock.later(first)
        part = replace(whole, steps=steps, before=before, clock=clock, ports={**fixed, **given}, after={})
        yield first, part
        whole.after = part.after


class Gathering:
    """What is wanted of a pass, from its parts."""

    def __init__(self, whole: Walk) -> None:
        self._whole, self._found = whole, dict[str, Tensor]()

    def add(self, first: int, part: Walk) -> None:
        """Take what a part has computed, and let go of the rest."""
        static, whole = part.network.schedule.static, self._whole
        for port in part.wanted:
            x = part.over_time(part.ports[port], port in static)
            if part is whole:
                self._found[port] = x if x.is_contiguous() else whole.do(WHOLE, [x])[0]
                continue
            if port not in self._found:
                self._found[port] = whole.provider().empty(whole.steps, *x.shape[1:], like=x)
            self._found[port][first : first + part.steps] = x
        part.ports.clear()

    @property
    def ports(self) -> dict[str, Tensor]:
        """``[T, B, ...]``."""
        return self._found
