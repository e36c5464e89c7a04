"""A loop over time and its way back, as one node of autograd's graph.

Step by step, a neuron's adjoint is its derived kernel's and a product's is one product. The gradients of
weights need nothing from other steps, and are left until many steps can be had at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from snnhw.tensors.autograd import Function, only_once
from snnhw.tensors.network.loops.fused import Fused
from snnhw.tensors.network.loops.fusing import refusal, runner_of
from snnhw.tensors.network.loops.one_step import Running
from snnhw.tensors.network.loops.steps import Carry, Span, Steps
from snnhw.tensors.network.walk import Tensors, Walk
from snnhw.tensors.work import Done, Grads

__all__ = ["sweep"]

TWICE = (
    "{} feed each other through time, and the derivative of their loop has none itself; where it is needed, "
    "have autograd record the loop: option paths=loops:recorded, where a backend has it"
)


def sweep(walk: Walk, steps: Steps) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Ports ``[T, B, ...]``, and the state after all steps by key."""
    given, steps.given = steps.given, {}  # autograd's graph keeps what it needs of them
    found = walk.do(LoopWork(steps, [*given]), [*given.values()])
    ports = len(steps.ports)
    return (
        dict(zip(steps.ports, found[:ports], strict=True)),
        dict(zip(steps.state_keys, found[ports:], strict=True)),
    )


@dataclass(frozen=True, eq=False)
class LoopWork:
    """All steps of a loop: its ports ``[T, B, ...]`` and the state after it, from what it is given.

    Attributes:
        names: of what it is given.
    """

    steps: Steps
    names: list[str]

    def __call__(self, *tensors: Tensor) -> Sequence[Tensor]:
        if torch.is_grad_enabled() and self.steps.trained:
            found: Sequence[Tensor] = _Sweep.apply(self, *tensors)
            return found
        return self.forward(tensors, ()).found

    def forward(self, tensors: Sequence[Tensor], needs: Sequence[bool]) -> Done:
        """A record of every step is kept where there is a way back."""
        steps, given = self.steps, dict(zip(self.names, tensors, strict=True))
        if not any(needs):
            passing = min(steps.walk.network.sizes.passing, steps.count)
            return Done(_forward(steps, given, passing, None), None)
        kept = Kept([], [])
        return Done(_forward(steps, given, self.chunk, kept), (given, kept))

    def backward(self, kept: Any, grads: Grads, needs: Sequence[bool]) -> Grads:
        steps, (given, records) = self.steps, kept
        ports = len(steps.ports)
        adjoints = steps.adjoints(grads[ports:])
        seeds = {port: g for port, g in zip(steps.ports, grads[:ports], strict=True) if g is not None}
        run = _running(steps, given)
        for span, found in _chunks(steps, run, records, self.chunk):
            run.backward(found, span, seeds, adjoints)
        run.finish(adjoints)
        collected = steps.collected(given, adjoints)
        return [collected.get(name) for name in self.names]

    @property
    def chunk(self) -> int:
        """Steps between two that are kept whole."""
        steps = self.steps
        return max(1, min(steps.count, steps.walk.network.sizes.held // max(1, steps.bytes)))


class Kept(NamedTuple):
    """For the way back: where each chunk begins, and what is kept of the last one's steps."""

    moments: list[Carry]
    last: list[Any]


def _running(steps: Steps, given: Tensors) -> Running | Fused:
    """All steps in one kernel, or one after the other."""
    walk = steps.walk
    why = refusal(walk.network, runner_of(steps), steps.nodes, walk.like.element_size())
    return Running(steps, given) if why or walk.autocast else Fused(steps, given)


def _forward(steps: Steps, given: Tensors, chunk: int, kept: Kept | None) -> tuple[Tensor, ...]:
    """Ports, then the state."""
    run, moment = _running(steps, given), steps.beginning(given)
    if isinstance(run, Fused) and not kept:  # its room does not depend on how many steps it takes
        chunk = steps.count
    history = steps.rooms(0, steps.count)
    for span in _spans(steps, chunk):
        if kept:
            kept.moments.append(moment.kept() if chunk < steps.count else moment)
            kept.last.clear()
        moment, found = run.forward(moment, span, history, keep=kept is not None)
        if kept:
            kept.last.append(found)
    return *(history.whole[port] for port in steps.ports), *steps.ending(moment)


def _spans(steps: Steps, chunk: int) -> list[Span]:
    return [(first, min(steps.count, first + chunk)) for first in range(0, steps.count, chunk)]


class _Sweep(Function):
    @staticmethod
    def forward(ctx: Any, work: LoopWork, *tensors: Tensor) -> tuple[Tensor, ...]:
        found, (_, ctx.kept) = work.forward(tensors, (True,))
        ctx.work = work
        ctx.save_for_backward(*tensors)
        ctx.set_materialize_grads(False)
        ctx.seen = [(port.detach(), port._version) for port in found[: len(work.steps.ports)]]
        return tuple(found)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        if any(port._version != version for port, version in ctx.seen):
            raise RuntimeError(
                "a signal that a loop over time gave was changed in place before its backward pass, which "
                "reads it; change a copy, as clone() makes it"
            )
        work = ctx.work
        given = dict(zip(work.names, ctx.saved_tensors, strict=True))
        with torch.no_grad():
            found = work.backward((given, ctx.kept), grads, ctx.needs_input_grad[1:])
        return None, *only_once(found, TWICE.format(", ".join(work.steps.nodes)))


def _chunks(steps: Steps, run: Running | Fused, kept: Kept, chunk: int) -> Iterator[tuple[Span, Any]]:
    """Each chunk and what is kept of it, the last one first; the others' is made again."""
    *others, last = zip(_spans(steps, chunk), kept.moments, strict=True)
    yield last[0], kept.last[0]
    for span, moment in reversed(others):
        yield span, run.forward(moment, span, steps.rooms(*span), keep=True)[1]
