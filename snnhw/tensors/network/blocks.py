"""Running a chain, a block of samples at a time, forward and backward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.compiler import is_compiling as tracing

from snnhw.tensors.network.adjoints import Adjoint, adjoint_of
from snnhw.tensors.network.chains import CONVOLUTIONS, Chain
from snnhw.tensors.network.ops import Operation
from snnhw.tensors.network.sources import Grads, Source
from snnhw.tensors.network.walk import Walk

__all__ = ["block_of", "run_blocks"]


def block_of(walk: Walk, chain: Chain) -> int | None:
    """How many samples run at a time; None where the nodes had better run one after the other: signals are
    small, or somebody wants one that passes between the nodes."""
    network = walk.network
    program = network.program
    inner = [edge.src for name in chain.nodes[1:] for edge in program.into(name, "x")]
    if not network.block or tracing() or walk.wanted & {*inner}:
        return None
    if chain.norm and torch.is_grad_enabled():
        return None
    if chain.neuron and [f"{chain.neuron}.{port}" for port in walk.used(chain.neuron)] != inner[:1]:
        return None
    if isinstance(program.nodes[chain.product], CONVOLUTIONS):
        inner.append(f"{chain.product}.y")
    samples, steps = (walk.batch, walk.steps) if chain.neuron else (walk.batch * walk.steps, 1)
    sample = max(prod(network.shapes[port]) for port in inner) * steps * walk.like.element_size()
    block = max(1, network.block // max(1, sample))
    if samples <= 2 * block:
        return None
    count = -(-samples // block)
    return -(-samples // count)  # of nearly one size


def run_blocks(walk: Walk, chain: Chain, source: Source, block: int) -> tuple[Tensor, Sequence[Tensor]]:
    """The chain's result ``[L, M, ...]`` and the states after it."""
    nodes, params = walk.network.program.nodes, walk.params_of(chain.product)
    product = walk.operation(chain.product)
    work = _Work(
        source,
        block=block,
        views=tuple((nodes[name], walk.operation(name)) for name in chain.views),
        op=nodes[chain.product],
        product=product,
        adjoint=adjoint_of(nodes[chain.product], product),
        names=tuple(params),
        norm=partial(_normalised, walk, chain.norm) if chain.norm else None,
        pool=(nodes[chain.pool], walk.operation(chain.pool)) if chain.pool else None,
    )
    tensors = [*source.tensors, *params.values()]
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        y, *ends = _Blocks.apply(work, *tensors)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    else:
        y, *ends = work.forward(tensors, [])
    return y, ends


def _normalised(walk: Walk, name: str, rows: Tensor) -> Tensor:
    return walk.timed(name, rows.unsqueeze(0), walk.clock, 1)[0]


@dataclass(frozen=True, eq=False)
class _Work:
    """One use of a chain.

    Attributes:
        op: the product's, which ``product`` computes; ``names`` are its parameters.
        norm: rows -> rows, in evaluation; there is no way back through it.
        views, pool: ops before and behind it, and what computes them.
    """

    source: Source
    block: int
    views: tuple[tuple[Any, Operation], ...]
    op: Any
    product: Operation
    adjoint: Adjoint
    names: tuple[str, ...]
    norm: Callable[[Tensor], Tensor] | None
    pool: tuple[Any, Any] | None

    @property
    def spans(self) -> list[slice]:
        samples = self.source.samples
        return [slice(at, min(at + self.block, samples)) for at in range(0, samples, self.block)]

    def forward(self, tensors: Sequence[Tensor], kept: list[Tensor]) -> tuple[Tensor, ...]:
        """The result and the states after it; ``kept`` takes what pools keep."""
        first, params = self._apart(tensors)
        whole: Tensor | None = None
        after: list[Sequence[Tensor]] = []
        for span in self.spans:
            x, ends = self.source.block(first, span)
            y = self.product(self.op, {"x": self._rows(x)}, params)
            if self.norm:
                y = self.norm(y)
            if self.pool:
                op, layer = self.pool
                y, places = layer.keep(op, y)
                kept.append(places)
            if whole is None:
                shape = len(x), self.source.samples, *y.shape[1:]
                whole = self.source.provider.empty(*shape, like=y)
            whole[:, span] = y.view(len(x), -1, *y.shape[1:])
            after.append(ends)
        assert whole is not None
        return whole, *(torch.cat(parts) for parts in zip(*after, strict=True))

    def backward(
        self,
        tensors: Sequence[Tensor],
        kept: Sequence[Tensor],
        needs: Sequence[bool],
        grad: Tensor,
        ends: Sequence[Tensor],
    ) -> Grads:
        """The adjoints of all tensors."""
        first, params = self._apart(tensors)
        wanted = {name for name, need in zip(self.names, needs[len(first) :], strict=True) if need}
        through = any(needs[: len(first)])
        asked = wanted | ({"x"} if through else set())
        adjoints = self.source.adjoints(first, needs[: len(first)]) if through else None
        sums: dict[str, Tensor] = {}
        for number, span in enumerate(self.spans):
            x, _ = self.source.block(first, span)
            rows, g = self._rows(x), grad[:, span].flatten(0, 1)
            if self.pool:
                op, layer = self.pool
                shape = (len(rows), *self.op.infer({"x": tuple(rows.shape[1:])})["y"])
                g = layer.back(op, kept[number], g, shape)
            found = self.adjoint(self.op, {"x": rows}, params, g, frozenset(asked))
            sums = {name: sums[name].add_(found[name]) if sums else found[name] for name in wanted}
            if adjoints:
                adjoints.add(span, found["x"].reshape(x.shape), [end[span] for end in ends])
        before = adjoints.total() if adjoints else [None] * len(first)
        return [*before, *(sums.get(name) for name in self.names)]

    def _apart(self, tensors: Sequence[Tensor]) -> tuple[Sequence[Tensor], dict[str, Tensor]]:
        count = len(tensors) - len(self.names)
        return tensors[:count], dict(zip(self.names, tensors[count:], strict=True))

    def _rows(self, x: Tensor) -> Tensor:
        """``[L, m, ...]`` as the rows that the product takes."""
        rows = x.flatten(0, 1)
        for op, view in self.views:
            rows = view(op, {"x": rows}, {})
        return rows


class _Blocks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, work: _Work, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.work, ctx.kept = work, []
        ctx.save_for_backward(*tensors)
        return work.forward(tensors, ctx.kept)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor, *ends: Tensor) -> tuple[Any, ...]:
        return None, *ctx.work.backward(ctx.saved_tensors, ctx.kept, ctx.needs_input_grad[1:], grad, ends)
