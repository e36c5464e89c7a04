"""The nodes of a loop at one step: forward, and back by a derived kernel or an adjoint written by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from snnhw.tensors.network.adjoints import Adjoint
from snnhw.tensors.network.loops.buffers import Rooms
from snnhw.tensors.network.ops import Operation
from snnhw.tensors.scans.passes import epilogue
from snnhw.tensors.scans.provider import Provider, ScanGrads, ScanInputs, ScanOutputs
from snnhw.tensors.scans.site import ScanSite

__all__ = ["Back", "Cell", "LoopNode", "Place", "Stateless"]

Tensors = Mapping[str, Tensor]
Grads = Sequence[Tensor | None]


class Place(NamedTuple):
    """A step, and where its signals go: those that are wanted after the loop, and all others."""

    step: int
    history: Rooms
    chunk: Rooms


class Back(NamedTuple):
    """Adjoints of what arrived, by port; of the states before; and of the values, see `Cell.gradients`."""

    arrived: Tensors
    states: Grads = ()
    values: Grads = ()


class LoopNode(Protocol):
    """A node, and what all its steps read alike."""

    @property
    def trained(self) -> frozenset[str]:
        """Parameters whose gradients need what arrived at all steps, and the adjoints of y."""
        ...

    def forward(self, xs: Tensors, states: Sequence[Tensor], at: Place) -> tuple[Tensors, Sequence[Tensor]]:
        """From what arrives: ports ``[B, ...]`` by full name, and the next states ``[B, N]``."""
        ...

    def backward(
        self, xs: Tensors, states: Sequence[Tensor], ports: dict[str, Tensor], after: Grads, at: Place
    ) -> Back:
        """From the adjoints of ports, of which it takes its own out, and of the next states."""
        ...


@dataclass(frozen=True, eq=False)
class Cell:
    """A neuron or pointwise node.

    Attributes:
        layer: of one step, ``single``.
        params, tables: in the order of its equations.
        needs: for each input, then each parameter, whether its gradient is wanted.
        wanted: ports that go to the history.
        noise: step -> random inputs; None where it reads none.
        like: a tensor of the dtype, on the device; signal: one of that of signals.
    """

    name: str
    layer: ScanSite
    provider: Provider
    params: Sequence[Tensor]
    tables: Sequence[Tensor]
    needs: tuple[bool, ...]
    wanted: frozenset[str]
    noise: Callable[[int], Tensors] | None
    like: Tensor
    signal: Tensor

    trained: frozenset[str] = frozenset()

    def forward(self, xs: Tensors, states: Sequence[Tensor], at: Place) -> tuple[Tensors, Sequence[Tensor]]:
        layer = self.layer
        out = ScanOutputs(
            [
                (at.history if port in self.wanted else at.chunk).at(port, at.step, layer.shape, self.signal)
                for port in self._ports
            ],
            [at.chunk.at(f"{state} after", at.step, layer.flat, self.like) for state in self._states],
        )
        given = self._given(xs, states, at)
        layer.scan(self.provider, given.inputs[0], self._folded)[1].forward(given, out)
        return dict(zip(self._ports, out.outputs, strict=True)), out.states

    def backward(
        self, xs: Tensors, states: Sequence[Tensor], ports: dict[str, Tensor], after: Grads, at: Place
    ) -> Back:
        layer, step = self.layer, self.layer.step
        out = ScanGrads(
            [
                at.chunk.at(f"{self.name}.{port} back", at.step, layer.flat, self.signal) if need else None
                for port, need in zip(step.ports, self.needs, strict=False)
            ],
            [],
            [at.chunk.at(f"{state} back", at.step, layer.flat, self.like) for state in self._states],
        )
        given = self._given(xs, states, at)
        _, scan = layer.scan(self.provider, given.inputs[0], self._folded, layer.outputs, self.needs)
        arriving = [
            self._zero if (g := ports.pop(port, None)) is None else layer.fold_output(g)
            for port in self._ports
        ]
        found = scan.backward(given, arriving, after, out)
        arrived = {
            port: layer.unfold_input(grad, True, tuple(xs[port].shape))
            for port, grad in zip(step.ports, found.inputs, strict=True)
            if grad is not None
        }
        return Back(arrived, found.states, found.values)

    def gradients(self, values: Grads) -> dict[str, Tensor]:
        """Of the parameters, from the adjoints of the values summed over all steps."""
        kernel, _ = self.layer.scan(self.provider, self._zero, self._folded, self.layer.outputs, self.needs)
        found = epilogue(kernel, self.layer, self.params, self.tables, values)
        return {
            name: grad for name, grad in zip(self.layer.step.params, found, strict=True) if grad is not None
        }

    @cached_property
    def _ports(self) -> list[str]:
        return [f"{self.name}.{port}" for port in self.layer.outputs]

    @cached_property
    def _states(self) -> list[str]:
        return [f"{self.name}.{state.name}" for state in self.layer.step.states]

    @cached_property
    def _folded(self) -> list[Tensor]:
        named = zip(self.layer.step.params, self.params, strict=True)
        return [self.layer.fold_param(name, param).to(self.like.dtype) for name, param in named]

    @cached_property
    def _zero(self) -> Tensor:
        """The adjoint of an output that nothing reads."""
        return self.signal.new_zeros(1, *self.layer.flat)

    def _given(self, xs: Tensors, states: Sequence[Tensor], at: Place) -> ScanInputs:
        read = xs if self.noise is None else {**xs, **self.noise(at.step)}
        inputs = [self.layer.fold_input(read[port], True) for port in self.layer.step.ports]
        return ScanInputs(1, inputs, self._folded, self.tables, states)


@dataclass(frozen=True, eq=False)
class Stateless:
    """An op without a state.

    Attributes:
        wanted: input ports whose adjoints are.
        kept: whether y goes to the history.
    """

    port: str
    op: Any
    operation: Operation
    adjoint: Adjoint
    params: Tensors
    wanted: frozenset[str]
    trained: frozenset[str]
    kept: bool

    def forward(self, xs: Tensors, states: Sequence[Tensor], at: Place) -> tuple[Tensors, Sequence[Tensor]]:
        y = self.operation(self.op, xs, self.params)
        if self.kept:
            at.history.at(self.port, at.step, y.shape, y).copy_(y)
        return {self.port: y}, ()

    def backward(
        self, xs: Tensors, states: Sequence[Tensor], ports: dict[str, Tensor], after: Grads, at: Place
    ) -> Back:
        grad = ports.pop(self.port, None)
        if grad is None or not self.wanted:
            return Back({})
        return Back(self.adjoint(self.op, xs, self.params, grad, self.wanted))

    def gradients(self, xs: Tensors, grad: Tensor) -> dict[str, Tensor]:
        """Of the parameters, from what arrived at some steps and the adjoints of y, as rows ``[M, ...]``."""
        return self.adjoint(self.op, xs, self.params, grad, self.trained)
