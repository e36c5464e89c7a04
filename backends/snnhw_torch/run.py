"""A program over all its steps on torch tensors; differentiable to inputs, parameters and state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from snnhw.errors import InputError
from snnhw.ir import Edge, Input, Neuron, Op, Output, Pointwise, Program, infer_shapes
from snnhw.tensors import Provider, run_scan
from snnhw_torch.layers import LAYERS
from snnhw_torch.schedule import Schedule, Stage

__all__ = ["Network", "Pass", "run_network"]

Tensors = Mapping[str, Tensor]


class Pass(NamedTuple):
    """What one pass over time gives: ports ``[T, B, ...]``, and the state after it."""

    ports: dict[str, Tensor]
    state: dict[str, Tensor]


@dataclass(frozen=True)
class Network:
    """A program, how it is scheduled, and who runs its neurons."""

    program: Program
    schedule: Schedule
    provider: Provider
    shapes: Mapping[str, tuple[int, ...]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shapes", infer_shapes(self.program).shapes)

    def params_of(self, node: str, params: Tensors) -> dict[str, Tensor]:
        return {name: params[key] for name, key in self.program.param_keys(node).items()}


def run_network(
    network: Network, params: Tensors, inputs: Tensors, state: Tensors, steps: int, wanted: Iterable[str]
) -> Pass:
    """Run all stages.

    Args:
        inputs: name -> ``[T, B, ...]``, or ``[B, ...]`` when static.
        state: as `Pass.state`; what is missing starts from its initial value.
        wanted: ports to return.
    """
    batch = next(iter(inputs.values())).shape[0 if _first_static(network) else 1]
    walk = _Walk(network, params, dict(state), steps, batch, frozenset(wanted))
    for stage in network.schedule.stages:
        for name in stage.nodes if stage.mode != "stepped" else ():
            walk.node(name, stage, inputs)
        if stage.mode == "stepped":
            walk.loop(stage)
    static = network.schedule.static
    ports = {
        port: x.expand(steps, *x.shape) if port in static else x
        for port, x in walk.ports.items()
        if port in walk.wanted
    }
    return Pass(ports, walk.after)


def _first_static(network: Network) -> bool:
    return network.program.named(Input)[0] in network.program.time.static_inputs


@dataclass
class _Walk:
    """One pass in progress: what has been computed so far."""

    network: Network
    params: Tensors
    before: dict[str, Tensor]
    steps: int
    batch: int
    wanted: frozenset[str]
    ports: dict[str, Tensor] = field(default_factory=dict)
    after: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        edges = self.network.program.edges
        self.wanted |= {edge.src for edge in edges}

    # -- what arrives at a node, all steps at once ------------------------------------------------

    def arriving(self, node: str, port: str) -> tuple[Tensor, bool]:
        """The sum of a port's edges, and whether it has no time axis."""
        static = self.network.schedule.static
        total, constant = None, True
        for edge in self.network.program.into(node, port):
            x, fixed = self.ports[edge.src], edge.src in static
            if edge.delay:
                x, fixed = self.delayed(edge, x.expand(self.steps, *x.shape) if fixed else x), False
            total = x if total is None else total + x
            constant = constant and fixed
        assert total is not None  # a valid program leaves no port open
        return total, constant

    def delayed(self, edge: Edge, x: Tensor) -> Tensor:
        """What arrives late: first what was under way, then the signal; the rest stays under way."""
        line = torch.cat([self.under_way(edge, x), x])
        self.after[edge.key] = line[self.steps :]
        return line[: self.steps]

    def under_way(self, edge: Edge, like: Tensor) -> Tensor:
        """The content of a delayed edge before the first step, ``[delay, B, ...]``."""
        shape = (edge.delay, self.batch, *self.network.shapes[edge.src])
        if edge.key in self.before:
            given = self.before[edge.key]
            if tuple(given.shape) != shape:
                raise InputError(f"state '{edge.key}' has shape {tuple(given.shape)}, not {shape}")
            return given
        if isinstance(edge.init, str):
            return self.params[edge.init].expand(shape)
        return torch.full(shape, edge.init, dtype=like.dtype, device=like.device)

    # -- one node over all steps ------------------------------------------------------------------

    def node(self, name: str, stage: Stage, inputs: Tensors) -> None:
        op = self.network.program.nodes[name]
        if isinstance(op, Input):
            self.ports[f"{name}.y"] = inputs[name]
            return
        given = {port: self.arriving(name, port) for port in op.in_ports}
        if isinstance(op, Output):
            return
        if isinstance(op, Neuron):
            xs = {port: x for port, (x, _) in given.items()}
            fixed = frozenset(port for port, (_, constant) in given.items() if constant)
            self.keep(name, self.neuron(name, op, xs, self.before, self.after, self.steps, fixed))
            return
        rows = {port: x if stage.mode == "once" else self.fold(x, constant) for port, (x, constant) in given.items()}
        found = self.stateless(name, op, rows)
        if stage.mode != "once":
            found = {port: y.unflatten(0, (self.steps, self.batch)) for port, y in found.items()}
        self.keep(name, found)

    def fold(self, x: Tensor, constant: bool) -> Tensor:
        return (x.expand(self.steps, *x.shape) if constant else x).flatten(0, 1)

    def keep(self, name: str, found: Tensors) -> None:
        self.ports |= {f"{name}.{port}": y for port, y in found.items()}

    def neuron(
        self,
        name: str,
        op: Neuron,
        xs: Tensors,
        before: Tensors,
        after: dict[str, Tensor],
        steps: int,
        static: frozenset[str] = frozenset(),
    ) -> dict[str, Tensor]:
        """A neuron over ``steps``; reads its states from ``before`` and leaves them in ``after``."""
        step = op.step()
        states = {s.name: before[f"{name}.{s.name}"] for s in step.states if f"{name}.{s.name}" in before}
        outputs = [port for port in step.outputs if f"{name}.{port}" in self.wanted]
        try:
            found, ends = run_scan(
                step,
                xs,
                self.network.params_of(name, self.params),
                states,
                steps=steps,
                outputs=outputs,
                static=static,
                dt=self.network.program.time.dt,
                provider=self.network.provider,
            )
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
        after |= {f"{name}.{state}": end for state, end in ends.items()}
        return found

    def stateless(self, name: str, op: Op, rows: Tensors) -> dict[str, Tensor]:
        """A stateless op on folded rows ``[M, ...]``."""
        params = self.network.params_of(name, self.params)
        if isinstance(op, Pointwise):
            xs = {port: x.unsqueeze(0) for port, x in rows.items()}
            found, _ = run_scan(
                op.step(), xs, params, {}, steps=1, outputs=tuple(op.outputs), provider=self.network.provider
            )
            return {port: y.squeeze(0) for port, y in found.items()}
        return {"y": LAYERS[type(op)](op, rows["x"], params)}

    # -- nodes that feed each other ---------------------------------------------------------------

    def loop(self, stage: Stage) -> None:
        """Step by step through a recurrent part."""
        inside = set(stage.nodes)
        lines = {
            edge: list(self.under_way(edge, next(iter(self.params.values()))))
            for edge in self.network.program.edges
            if edge.delay and edge.source.node in inside and edge.target.node in inside
        }
        outside = {
            (node, port): self.outside(node, port, inside)
            for node in stage.nodes
            for port in self.network.program.nodes[node].in_ports
        }
        state, stacks = dict(self.before), {}
        for step in range(self.steps):
            now: dict[str, Tensor] = {}
            for name in stage.nodes:
                self.step(name, step, now, lines, outside, state)
            for edge, line in lines.items():
                line.append(now[edge.src])
            for port in now.keys() & self.wanted:
                stacks.setdefault(port, []).append(now[port])
        self.ports |= {port: torch.stack(stack) for port, stack in stacks.items()}
        self.after |= {key: value for key, value in state.items() if key.rpartition(".")[0] in inside}
        self.after |= {edge.key: torch.stack(line[self.steps :]) for edge, line in lines.items()}

    def outside(self, node: str, port: str, inside: set[str]) -> dict[Edge, Tensor]:
        """Signals that reach a port from before the loop, over all steps."""
        found = {}
        for edge in self.network.program.into(node, port):
            if edge.source.node not in inside:
                x = self.ports[edge.src]
                x = x.expand(self.steps, *x.shape) if edge.src in self.network.schedule.static else x
                found[edge] = self.delayed(edge, x) if edge.delay else x
        return found

    def step(
        self,
        name: str,
        step: int,
        now: dict[str, Tensor],
        lines: Mapping[Edge, Sequence[Tensor]],
        outside: Mapping[tuple[str, str], Mapping[Edge, Tensor]],
        state: dict[str, Tensor],
    ) -> None:
        """One node of a recurrent part at one step."""
        op = self.network.program.nodes[name]
        xs: dict[str, Tensor] = {}
        for port in op.in_ports:
            for edge in self.network.program.into(name, port):
                signals = outside[name, port]
                x = signals[edge][step] if edge in signals else lines[edge][step] if edge in lines else now[edge.src]
                xs[port] = xs[port] + x if port in xs else x
        if isinstance(op, Neuron):
            found = self.neuron(name, op, {p: x.unsqueeze(0) for p, x in xs.items()}, state, state, 1)
            now |= {f"{name}.{port}": y.squeeze(0) for port, y in found.items()}
        else:
            now |= {f"{name}.{port}": y for port, y in self.stateless(name, op, xs).items()}
