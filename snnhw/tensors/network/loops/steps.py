"""A loop over time, taken apart: what its nodes read, what they carry from step to step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from snnhw.ir import Edge, Neuron, Op, Pointwise
from snnhw.tensors.network.loops.buffers import Rooms, follow
from snnhw.tensors.network.walk import Tensors, Walk
from snnhw.tensors.scans.passes import initial
from snnhw.tensors.scans.site import ScanSite, site_of

__all__ = ["Adjoints", "Carry", "Pending", "Record", "Span", "Steps", "called"]

Grads = Sequence[Tensor | None]


Span = tuple[int, int]
"""Some steps: the first, and the one after the last."""


class Carry(NamedTuple):
    """What one step leaves to the next: states ``[B, N]`` by node, and by edge what is under way on it,
    oldest first."""

    states: Mapping[str, Sequence[Tensor]]
    lines: Mapping[str, tuple[Tensor, ...]]

    def kept(self) -> Carry:
        """A copy, which keeps nothing else in memory."""
        states = {name: [state.clone() for state in states] for name, states in self.states.items()}
        return Carry(states, {key: tuple(x.clone() for x in line) for key, line in self.lines.items()})


class Record(NamedTuple):
    """What the way back reads of one step: states before it, and by node what arrived at its ports."""

    states: Mapping[str, Sequence[Tensor]]
    arrived: Mapping[str, Tensors]


Pending = tuple[Tensors, Tensor]
"""What arrived at a node in one step, and the adjoint of its y."""


@dataclass
class Adjoints:
    """What has come together on the way back; None is zero.

    Attributes:
        states, lines: of the `Carry` after the step at hand.
        given: of what the loop is given, by name; of signals that change over time ``signals``, step by step.
        values: of a cell's, by node.
        pending: node -> what arrived and the adjoint of y, of steps whose part of the gradients of its
            parameters is still to be had.
    """

    states: dict[str, Grads]
    lines: dict[str, Grads]
    given: dict[str, Tensor] = field(default_factory=dict)
    signals: dict[str, list[Tensor | None]] = field(default_factory=dict)
    values: dict[str, Grads] = field(default_factory=dict)
    pending: dict[str, list[Pending]] = field(default_factory=dict)


def called(edge: Edge) -> str:
    """The name of an edge in a loop. One with a delay and one without may join the same two ports, and have
    the same key."""
    return edge.key if edge.delay else f"{edge.key} at once"


class Steps:
    """The nodes of a loop, in the order in which they run within a step, and what they are given.

    Attributes:
        given: all tensors that it reads: by edge, what comes from outside; by key, parameters and states.
        count: T; ports: those that are wanted ``[T, B, ...]``.
    """

    def __init__(self, walk: Walk, nodes: tuple[str, ...], ports: Iterable[str]) -> None:
        program = walk.network.program
        self.walk, self.nodes, self.ports, self.count = walk, nodes, tuple(ports), walk.steps
        self.provider = walk.provider()
        self.into = {
            name: [
                (port, f"{name}.{port}", program.into(name, port)) for port in program.nodes[name].in_ports
            ]
            for name in nodes
        }
        edges = [edge for ports in self.into.values() for _, _, into in ports for edge in into]
        inner = {edge for edge in edges if edge.source.node in nodes}
        self.lines = {edge.key: edge for edge in edges if edge in inner and edge.delay}
        outside = {called(edge): walk.signal(edge) for edge in edges if edge not in inner}
        self.fixed = {key for key, (_, fixed) in outside.items() if fixed}
        self.layers = {name: self._layer(name) for name in nodes if _is_cell(program.nodes[name])}
        self.given: dict[str, Tensor] = {
            **{key: x for key, (x, _) in outside.items()},
            **{key: x for name in nodes for key, x in self._params(name).items()},
            **{key: x for name in self.layers for key, x in self._initial(name).items()},
            **{key: walk.under_way(edge) for key, edge in self.lines.items()},
        }
        self.outside = frozenset(outside)
        self.trained = {key for key, x in self.given.items() if walk.learns(x)}
        self.wanted = {
            name: frozenset(
                port
                for port, _, into in ports
                if any(edge in inner or called(edge) in self.trained for edge in into)
            )
            for name, ports in self.into.items()
        }
        # Autograd's graph holds on to this object; it must not hold the signals that the graph leads to.
        self.walk = replace(walk, params={}, before={}, ports={}, after={}, statistics={})

    def _layer(self, name: str) -> ScanSite:
        network, step = self.walk.network, self.op(name).equations()
        ports = self.walk.used(name)
        shape = (self.walk.batch, *network.shapes[f"{name}.{ports[0]}"])
        static = (True,) * len(step.ports)
        dt = network.program.time.dt
        return site_of(step, shape, 1, tuple(ports), static=static, dt=dt, single=True)

    def op(self, name: str) -> Any:
        return self.walk.network.program.nodes[name]

    def keys(self, name: str) -> dict[str, str]:
        """Parameter of a node -> its key."""
        return self.walk.network.program.param_keys(name)

    def _params(self, name: str) -> dict[str, Tensor]:
        return {self.keys(name)[param]: x for param, x in self.walk.params_of(name).items()}

    def _initial(self, name: str) -> dict[str, Tensor]:
        states, params = self.walk.states_of(name), self.walk.params_of(name)
        layer, like = self.layers[name], self.walk.like
        return {
            f"{name}.{state.name}": initial(
                layer, state, states, params, device=like.device, dtype=like.dtype
            )
            for state in layer.step.states
        }

    @property
    def bytes(self) -> int:
        """Of what one step keeps."""
        shapes = self.walk.network.shapes
        ports = [f"{name}.{port}" for name in self.nodes for port in self.op(name).out_ports]
        numbers = sum(prod(shapes[port]) for port in ports if port in shapes)
        return numbers * self.walk.batch * self.walk.signals.itemsize

    # -- states -----------------------------------------------------------------------------------

    @property
    def state_keys(self) -> tuple[str, ...]:
        """Of all that is carried from step to step, as `ending` gives it."""
        states = (f"{name}.{state.name}" for name, x in self.layers.items() for state in x.step.states)
        return (*states, *self.lines)

    def beginning(self, given: Tensors) -> Carry:
        states = {
            name: [layer.fold_state(given[f"{name}.{state.name}"]) for state in layer.step.states]
            for name, layer in self.layers.items()
        }
        others = dict.fromkeys(self.nodes, ())
        return Carry({**others, **states}, {key: given[key].unbind() for key in self.lines})

    def ending(self, moment: Carry) -> list[Tensor]:
        states = [
            layer.unfold_state(state).clone()  # the slice would keep the states of other steps alive
            for name, layer in self.layers.items()
            for state in moment.states[name]
        ]
        lines = (torch.stack(moment.lines[key]).to(self.walk.like.dtype) for key in self.lines)
        return [*states, *lines]

    def adjoints(self, grads: Grads) -> Adjoints:
        """From the adjoints of `ending`."""
        arriving = iter(grads)
        states = {
            name: [None if (g := next(arriving)) is None else layer.fold_state(g) for _ in layer.step.states]
            for name, layer in self.layers.items()
        }
        lines = {
            key: [None] * edge.delay if (g := next(arriving)) is None else g.to(self.walk.signals).unbind()
            for key, edge in self.lines.items()
        }
        others = dict.fromkeys(self.nodes, ())
        return Adjoints({**others, **states}, dict(lines))

    def collected(self, given: Tensors, adjoints: Adjoints) -> dict[str, Tensor]:
        """The adjoints of all that was given; what is not there is zero."""
        found = adjoints.given
        for name, layer in self.layers.items():
            for state, grad in zip(layer.step.states, adjoints.states[name], strict=True):
                if grad is not None:
                    found[f"{name}.{state.name}"] = layer.unfold_state(grad)
        for key, line in adjoints.lines.items():
            found[key] = self.joined(_filled(line, given[key][0]))
        for key, signal in adjoints.signals.items():
            found[key] = self.joined(_filled(signal, given[key][0]))
        return found

    def rooms(self, first: int, last: int) -> Rooms:
        """Room for some steps."""
        return Rooms(self.provider, first, last - first)

    def joined(self, parts: Sequence[Tensor]) -> Tensor:
        """One signal of its steps; those of one room are one already."""
        first = parts[0]
        if follow(parts):
            return first.as_strided((len(parts), *first.shape), (first.numel(), *first.stride()))
        return torch.stack([*parts], out=self.provider.empty(len(parts), *first.shape, like=first))


def _filled(parts: Grads, like: Tensor) -> list[Tensor]:
    """With zeros where there is none."""
    return [torch.zeros_like(like) if part is None else part for part in parts]


def _is_cell(op: Op) -> bool:
    return isinstance(op, (Neuron, Pointwise))
