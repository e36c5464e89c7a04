"""Running a chain: a neuron's spikes once, the product and the pool behind them a block of rows at a time.

A product that packs its input keeps it so for the way back. Else the adjoint of the spikes takes the place of
the spikes there, which nothing reads any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from snnhw.tensors.autograd import Function, only_once
from snnhw.tensors.network.adjoints import Adjoint, adjoint_of, packed
from snnhw.tensors.network.chains import Chain
from snnhw.tensors.network.ops import Operation
from snnhw.tensors.network.walk import Walk
from snnhw.tensors.scans.provider import Provider
from snnhw.tensors.scans.scan import Scanning
from snnhw.tensors.watched import tracing, watched
from snnhw.tensors.work import Done, Grads

__all__ = ["ChainWork", "joins", "run_chain"]

TWICE = (
    "{} run as one, whose derivative has none itself; where it is needed, have them run apart: option "
    "paths=chains:apart, where a backend has it"
)


def joins(walk: Walk, chain: Chain) -> bool:
    """Whether the nodes can run as one: nobody wants a signal that passes between them."""
    program = walk.network.program
    inner = [edge.src for name in chain.nodes[1:] for edge in program.into(name, "x")]
    if tracing() or walk.autocast or watched([walk.like]):
        return False
    if walk.wanted & {*inner} or (chain.norm and torch.is_grad_enabled()):
        return False
    return not chain.neuron or [f"{chain.neuron}.{port}" for port in walk.used(chain.neuron)] == inner[:1]


def run_chain(walk: Walk, chain: Chain) -> tuple[Tensor, dict[str, Tensor]]:
    """The chain's result ``[T, B, ...]``, and the state after it."""
    nodes, params = walk.network.program.nodes, walk.params_of(chain.product)
    product = walk.operation(chain.product)
    use = walk.neuron(chain.neuron) if chain.neuron else None
    work = ChainWork(
        Scanning(use.layer, use.provider) if use else None,
        walk.provider(chain.neuron),
        chain.nodes,
        lead=(walk.steps, walk.batch),
        block=_rows(walk, chain),
        views=tuple((nodes[name], walk.operation(name)) for name in chain.views),
        op=nodes[chain.product],
        product=product,
        names=tuple(params),
        norm=partial(_normalised, walk, chain.norm) if chain.norm else None,
        pool=(nodes[chain.pool], walk.operation(chain.pool)) if chain.pool else None,
    )
    first = use.tensors if use else [walk.over_time(*walk.arriving(chain.product, "x"))]
    y, *ends = walk.do(work, [*first, *params.values()])
    names = [f"{chain.neuron}.{state.name}" for state in use.layer.step.states] if use else []
    return y, dict(zip(names, ends, strict=True))


def _rows(walk: Walk, chain: Chain) -> int:
    """How many rows at a time: all, unless signals behind the product are large."""
    network, rows = walk.network, max(1, walk.steps * walk.batch)
    ports = [f"{chain.product}.y"] if chain.norm or chain.pool else []
    if isinstance(network.program.nodes[chain.product], network.sizes.alone):
        ports = [f"{chain.product}.y"]
    row = max((prod(network.shapes[port]) for port in ports), default=0) * walk.like.element_size()
    block = max(1, network.sizes.block // max(1, row))
    if row == 0 or rows <= 2 * block:
        return rows
    count = -(-rows // block)
    return -(-rows // count)  # of nearly one size


def _normalised(walk: Walk, name: str, rows: Tensor) -> Tensor:
    return walk.timed(name, rows.unsqueeze(0), walk.clock, 1)[0]


class _Read(NamedTuple):
    """What a product reads.

    Attributes:
        x: the signal before it; None where nothing reads that itself.
        blocks: rows of it, or what the product has packed them into.
    """

    x: Tensor | None
    blocks: list[Any]


@dataclass(frozen=True, eq=False)
class ChainWork:
    """One use of a chain: the result ``[T, B, ...]`` and the neuron's states, from what the neuron reads, or
    from what arrives where there is none, and the product's parameters.

    Attributes:
        neuron: without one, the chain reads a signal ``[T, B, ...]``.
        nodes: what stands in the chain, by name.
        lead: T and B.
        block: how many rows run at a time.
        op: the product's, which ``product`` computes; ``names`` are its parameters.
        norm: rows -> rows, in evaluation; there is no way back through it.
        views, pool: ops before and behind, and what computes them.
    """

    neuron: Scanning | None
    provider: Provider
    nodes: tuple[str, ...]
    lead: tuple[int, int]
    block: int
    views: tuple[tuple[Any, Operation], ...]
    op: Any
    product: Operation
    names: tuple[str, ...]
    norm: Callable[[Tensor], Tensor] | None
    pool: tuple[Any, Any] | None

    @cached_property
    def adjoint(self) -> Adjoint:
        """The product's."""
        return adjoint_of(self.op, self.product)

    def __call__(self, *tensors: Tensor) -> Sequence[Tensor]:
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
            y, *ends = _Chain.apply(self, *tensors)
            return y.reshape(*self.lead, *y.shape[1:]), *ends
        return self.forward(tensors, ()).found

    def forward(self, tensors: Sequence[Tensor], needs: Sequence[bool]) -> Done:
        places: list[Tensor] = []
        x, ends = self.signal(tensors)
        read = self.read(x)
        y = self.behind(read, tensors, places)
        return Done((y.reshape(*self.lead, *y.shape[1:]), *ends), (read, tensors, places))

    def backward(self, kept: Any, grads: Grads, needs: Sequence[bool]) -> Grads:
        y, *ends = grads
        assert y is not None, "within a pass, nothing reads the states that it ends with"
        read, tensors, places = kept
        return self.back(read, tensors, places, needs, [y.flatten(0, 1), *ends])

    def signal(self, tensors: Sequence[Tensor]) -> tuple[Tensor, Sequence[Tensor]]:
        """What the chain begins with ``[M, ...]``, and the neuron's states after it."""
        first, _ = self._apart(tensors)
        if self.neuron is None:
            return first[0].flatten(0, 1), ()
        spikes, *ends = self.neuron.forward(first, ()).found
        return spikes.flatten(0, 1), ends

    def read(self, x: Tensor) -> _Read:
        """The signal as the product reads it."""
        rows = self._viewed(x)
        blocks = [packed(self.product, self.op, rows[span]) for span in self._spans(len(x))]
        return _Read(x if any(isinstance(block, Tensor) for block in blocks) else None, blocks)

    def behind(self, read: _Read, tensors: Sequence[Tensor], kept: list[Tensor]) -> Tensor:
        """The result ``[M, ...]``; ``kept`` takes what pools keep."""
        _, params = self._apart(tensors)
        spans = self._spans(prod(self.lead))
        whole: Tensor | None = None
        for span, block in zip(spans, read.blocks, strict=True):
            y = self.product(self.op, {"x": block}, params)
            if self.norm:
                y = self.norm(y)
            if self.pool:
                op, layer = self.pool
                y, places = layer.keep(op, y)
                kept.append(places)
            if len(spans) == 1:
                return y
            if whole is None:
                whole = self.provider.empty(prod(self.lead), *y.shape[1:], like=y)
            whole[span] = y
        assert whole is not None
        return whole

    def back(
        self,
        read: _Read,
        tensors: Sequence[Tensor],
        kept: Sequence[Tensor],
        needs: Sequence[bool],
        grads: Grads,
    ) -> list[Tensor | None]:
        """The adjoints of all tensors, from those of the result ``[M, ...]`` and the states; writes over
        spikes that the product reads as they are."""
        first, params = self._apart(tensors)
        result, *ends = grads
        assert result is not None, "who calls fills it in"
        x = self._beside(read, first, result)
        through = any(needs[: len(first)])
        wanted = {name for name, need in zip(self.names, needs[len(first) :], strict=True) if need}
        into = x if self.neuron else self.provider.empty(*x.shape, like=x) if through else None
        rows, to = self._viewed(x), None if into is None or not through else self._viewed(into)
        sums: dict[str, Tensor] = {}
        for number, (span, block) in enumerate(zip(self._spans(len(x)), read.blocks, strict=True)):
            g = result[span]
            if self.pool:
                op, layer = self.pool
                shape = (len(g), *self.op.infer({"x": tuple(rows.shape[1:])})["y"])
                g = layer.back(op, kept[number], g, shape)
            asked = frozenset(wanted | ({"x"} if through else set()))
            found = self.adjoint(self.op, {"x": block}, params, g, asked, out=to if to is None else to[span])
            for name in wanted:
                sums[name] = sums[name].add_(found[name]) if name in sums else found[name]
        before: Grads = [None] * len(first)
        if self.neuron and through:
            adjoints = [x.view(self.neuron.layer.over_time[0]), *ends]
            before = self.neuron.backward(first, adjoints, tuple(needs[: len(first)]))
        elif into is not None and not self.neuron:
            before = [into.view(first[0].shape)]
        return [*before, *map(sums.get, self.names)]

    def _beside(self, read: _Read, first: Sequence[Tensor], like: Tensor) -> Tensor:
        """The signal ``[M, ...]``, or a tensor of its shape: room for its adjoint, if it is spikes."""
        if read.x is not None:
            return read.x
        if self.neuron is None:
            return first[0].flatten(0, 1)
        return self.provider.empty(*self.neuron.layer.over_time[0], like=like).flatten(0, 1)

    def _spans(self, rows: int) -> list[slice]:
        return [slice(at, min(at + self.block, rows)) for at in range(0, rows, self.block)] or [slice(0, 0)]

    def _apart(self, tensors: Sequence[Tensor]) -> tuple[Sequence[Tensor], dict[str, Tensor]]:
        count = len(tensors) - len(self.names)
        return tensors[:count], dict(zip(self.names, tensors[count:], strict=True))

    def _viewed(self, rows: Tensor) -> Tensor:
        """The rows as the product takes them."""
        for op, view in self.views:
            rows = view(op, {"x": rows}, {})
        return rows


class _Chain(Function):
    @staticmethod
    def forward(ctx: Any, work: ChainWork, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.work, ctx.places = work, []
        ctx.save_for_backward(*tensors)
        x, ends = work.signal(tensors)
        ctx.read = work.read(x)
        return work.behind(ctx.read, tensors, ctx.places), *ends

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        work, tensors = ctx.work, ctx.saved_tensors
        with torch.no_grad():
            read = ctx.read or work.read(work.signal(tensors)[0])  # again, for a second time back
            ctx.read = None
            found = work.back(read, tensors, ctx.places, ctx.needs_input_grad[1:], grads)
        return None, *only_once(found, TWICE.format(", ".join(work.nodes)))
