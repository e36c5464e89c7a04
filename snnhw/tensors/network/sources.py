"""What feeds the product of a chain, a block of samples at a time: a signal that is there, or neurons.

Signals are ``[L, M, ...]`` here: L steps of M samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from snnhw.tensors.layer import Layer, layer_of
from snnhw.tensors.provider import Provider
from snnhw.tensors.scan import Use, computed, epilogue, fold, split

__all__ = ["Adjoints", "Grads", "Neurons", "Signal", "Source"]

Grads = list[Tensor | None]


class Source(Protocol):
    """Reads ``tensors``, which autograd hands back for the backward pass."""

    @property
    def tensors(self) -> Sequence[Tensor]: ...

    @property
    def samples(self) -> int:
        """M."""
        ...

    @property
    def provider(self) -> Provider: ...

    def block(self, tensors: Sequence[Tensor], span: slice) -> tuple[Tensor, Sequence[Tensor]]:
        """Some samples of the signal ``[L, m, ...]``, and the states after it ``[m, ...]``."""
        ...

    def adjoints(self, tensors: Sequence[Tensor], needs: Sequence[bool]) -> Adjoints:
        """Of the tensors, to be put together from blocks."""
        ...


class Adjoints(Protocol):
    """The adjoints of a source's tensors in the making."""

    def add(self, span: slice, grad: Tensor, ends: Sequence[Tensor]) -> None:
        """From those of one block's signal and of the states after it."""
        ...

    def total(self) -> Grads: ...


@dataclass(frozen=True, eq=False)
class Signal:
    """Rows ``[M, ...]`` that are there already; one step of them."""

    x: Tensor
    provider: Provider

    @property
    def tensors(self) -> Sequence[Tensor]:
        return (self.x,)

    @property
    def samples(self) -> int:
        return len(self.x)

    def block(self, tensors: Sequence[Tensor], span: slice) -> tuple[Tensor, Sequence[Tensor]]:
        return tensors[0][span].unsqueeze(0), ()

    def adjoints(self, tensors: Sequence[Tensor], needs: Sequence[bool]) -> Adjoints:
        return _Rows(self.provider.empty(*self.x.shape, like=self.x) if needs[0] else None)


@dataclass(frozen=True, eq=False)
class _Rows:
    grad: Tensor | None

    def add(self, span: slice, grad: Tensor, ends: Sequence[Tensor]) -> None:
        if self.grad is not None:
            self.grad[span] = grad[0]

    def total(self) -> Grads:
        return [self.grad]


@dataclass(frozen=True, eq=False)
class Neurons:
    """One port of a layer of neurons. A block of it is computed whenever it is asked for."""

    use: Use

    @property
    def tensors(self) -> Sequence[Tensor]:
        return self.use.tensors

    @property
    def samples(self) -> int:
        return self.use.layer.shape[0]

    @property
    def provider(self) -> Provider:
        return self.use.provider

    def block(self, tensors: Sequence[Tensor], span: slice) -> tuple[Tensor, Sequence[Tensor]]:
        part = _part(self.use.layer, span)
        spikes, *ends = computed(part, self.use.provider, _cut(part, tensors, span))
        return spikes, ends

    def adjoints(self, tensors: Sequence[Tensor], needs: Sequence[bool]) -> Adjoints:
        return _Swept(self.use, tensors, needs)


class _Swept:
    """Adjoints of neurons, from those of their blocks."""

    def __init__(self, use: Use, tensors: Sequence[Tensor], needs: Sequence[bool]) -> None:
        self._use, self._tensors = use, tensors
        inputs, params, _, states = split(use.layer, tensors)
        self._needs = tuple(needs[: len(inputs) + len(params)])
        empty = use.provider.empty
        self._inputs = [
            empty(*x.shape, like=x) if need else None for x, need in zip(inputs, needs, strict=False)
        ]
        self._states = [empty(*state.shape, like=state) for state in states]
        self._values: Grads = []

    def add(self, span: slice, grad: Tensor, ends: Sequence[Tensor]) -> None:
        layer, provider, _ = self._use
        part = _part(layer, span)
        given = fold(part, _cut(part, self._tensors, span))
        self._kernel, scan = part.scan(provider, given.inputs[0], given.params, part.outputs, self._needs)
        found = scan.backward(given, [part.fold_output(grad)], [part.fold_state(end) for end in ends])
        for whole, one, static in zip(self._inputs, found.inputs, part.static, strict=True):
            if whole is not None and one is not None:
                own = whole[span] if static else whole[:, span]
                own.copy_(part.unfold_input(one, static, tuple(own.shape)))
        for whole, one in zip(self._states, found.states, strict=True):
            whole[span] = part.unfold_state(one)
        if self._values:
            self._values = [*map(_sum, self._values, found.values)]
        else:
            self._values = found.values

    def total(self) -> Grads:
        layer = self._use.layer
        _, params, tables, _ = split(layer, self._tensors)
        values = epilogue(self._kernel, layer, params, tables, self._values)
        return [*self._inputs, *values, *(None for _ in tables), *self._states]


def _sum(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    return None if one is None or other is None else one + other


def _part(layer: Layer, span: slice) -> Layer:
    """The layer with the samples of a block only."""
    shape = (span.stop - span.start, *layer.shape[1:])
    return layer_of(
        layer.step,
        shape,
        layer.steps,
        layer.outputs,
        static=layer.static,
        dt=layer.dt,
        single=layer.single,
    )


def _cut(layer: Layer, tensors: Sequence[Tensor], span: slice) -> list[Tensor]:
    inputs, params, tables, states = split(layer, tensors)
    xs = [x[span] if static else x[:, span] for x, static in zip(inputs, layer.static, strict=True)]
    return [*xs, *params, *tables, *(state[span] for state in states)]
