"""A program, how it is scheduled, and one pass through it in progress."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from math import prod
from typing import Any, NamedTuple, TypedDict, cast

import torch
from torch import Tensor

from snnhw.ir import Clock, Edge, Input, Neuron, Output, Pointwise, Program, StepEquations, infer_shapes
from snnhw.tensors.network.chains import Chain, chained, chains
from snnhw.tensors.network.memo import Memo, Remembering
from snnhw.tensors.network.ops import MOVING, OPERATIONS, Operation
from snnhw.tensors.network.schedule import Mode, Schedule, Stage, plan
from snnhw.tensors.network.stateful_ops import TIMED, Span
from snnhw.tensors.scans.installed import provider_for
from snnhw.tensors.scans.provider import UNMEASURED, Provider, Sizes, wide
from snnhw.tensors.scans.scan import BoundScan, run_step, use_of
from snnhw.tensors.watched import watched

__all__ = ["Network", "Pass", "Tensors", "Walk"]

Tensors = Mapping[str, Tensor]

Run = tuple[Stage, frozenset[str]]
"""A stage, and the ports that no later one reads."""


class Pass(NamedTuple):
    """What one pass over time gives: ports ``[T, B, ...]``, the state after it, and by parameter key what
    training has measured."""

    ports: dict[str, Tensor]
    state: dict[str, Tensor]
    statistics: dict[str, Tensor]


@dataclass(frozen=True)
class Network:
    """A program, how it is scheduled, and who runs its nodes.

    Attributes:
        provider: runs the neurons; None: whoever is installed for the device.
        sizes: how its work is divided.
        runners: node -> who runs it, where that is not the provider.
        layers: stateless node -> how it is run, where that is not as `OPERATIONS` says for its type.
        training: whether its passes are those of training; the schedule is then for that.
        signals: the dtype in which all that passes between nodes lies in memory, where that is narrower than
            what is computed in: inputs, currents, spikes and their adjoints. States stay as wide, as do
            random numbers; nodes compute as wide and round once, but for products, whose operands are as
            narrow and whose sums are not.
    """

    program: Program
    schedule: Schedule
    provider: Provider | None = None
    sizes: Sizes = UNMEASURED
    layers: Mapping[str, Operation | Remembering] = field(default_factory=dict)
    runners: Mapping[str, Provider] = field(default_factory=dict)
    training: bool = False
    signals: torch.dtype | None = None

    def trained(self) -> Network:
        """The same network in training."""
        return replace(self, schedule=plan(self.program, training=True), training=True)

    @cached_property
    def chains(self) -> Mapping[str, Chain]:
        """First node -> chain."""
        found: tuple[Chain, ...] = ()
        if self.sizes.block:
            found = chains(
                self.program, self.schedule, self.layers, training=self.training, alone=self.sizes.alone
            )
        return {chain.nodes[0]: chain for chain in found}

    @cached_property
    def modes(self) -> Mapping[str, Mode]:
        """How each node runs where it runs by itself."""
        return {name: stage.mode for stage in self.schedule.stages for name in stage.nodes}

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """The schedule's, chains among them."""
        return chained(self.schedule, tuple(self.chains.values()))

    @cached_property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Port -> shape of one sample at one step."""
        return infer_shapes(self.program).shapes

    @cached_property
    def keys(self) -> Mapping[str, Mapping[str, str]]:
        """Node -> parameter -> key."""
        return {name: self.program.param_keys(name) for name in self.program.nodes}

    @cached_property
    def equations(self) -> Mapping[str, StepEquations]:
        """Pointwise node -> its equations for one step."""
        nodes = self.program.nodes.items()
        return {name: op.equations() for name, op in nodes if isinstance(op, (Neuron, Pointwise))}

    @cached_property
    def remembering(self) -> frozenset[str]:
        """Nodes whose layer is a `Remembering` one; to ask a protocol takes as long as a small layer."""
        return frozenset(name for name, layer in self.layers.items() if isinstance(layer, Remembering))

    @cached_property
    def read(self) -> frozenset[str]:
        """Ports that some node reads."""
        return frozenset(edge.src for edge in self.program.edges)

    @cached_property
    def widest(self) -> int:
        """Numbers of the largest signal that changes over time, of one sample at one step. An input is there
        before."""
        inputs = {f"{name}.y" for name in self.program.named(Input)}
        moving = self.shapes.keys() - self.schedule.static - inputs
        return max((prod(self.shapes[port]) for port in moving), default=0)

    @cached_property
    def fixed(self) -> tuple[Run, ...]:
        """What is computed once for all steps."""
        return tuple(run for run in self._runs if self._still(run[0]))

    @cached_property
    def moving(self) -> tuple[Run, ...]:
        """What is computed for every step."""
        return tuple(run for run in self._runs if not self._still(run[0]))

    @cached_property
    def _runs(self) -> tuple[Run, ...]:
        """All but inputs and outputs, in order."""
        seen: set[str] = set()
        found = []
        for stage in reversed(self.stages):
            sources = {edge.src for name in stage.nodes for edge in self._into(name)}
            if not isinstance(self.program.nodes[stage.nodes[0]], (Input, Output)):
                found.append((stage, frozenset(sources - seen)))
            seen |= sources
        return tuple(found[::-1])

    def _still(self, stage: Stage) -> bool:
        ports = {f"{name}.{port}" for name in stage.nodes for port in self.program.nodes[name].out_ports}
        return ports <= self.schedule.static

    def _into(self, name: str) -> Iterator[Edge]:
        for port in self.program.nodes[name].in_ports:
            yield from self.program.into(name, port)


def _cast_back(operation: Operation, op: Any, xs: Tensors, params: Tensors) -> Tensor:
    """What autocast made of a result, in the dtype of signals."""
    return operation(op, xs, params).to(next(iter(xs.values())).dtype)


def _widened(operation: Operation, op: Any, xs: Tensors, params: Tensors) -> Tensor:
    """Computed as wide as parameters are, and rounded to the dtype of signals once."""
    wider = {port: x.to(wide(x.dtype)) for port, x in xs.items()}
    return operation(op, wider, params).to(next(iter(xs.values())).dtype)


class How(TypedDict):
    """What all scans of a program have in common."""

    dt: float
    provider: Provider


@dataclass
class Walk:
    """One pass in progress.

    Attributes:
        params: parameter key -> value.
        before: state key -> what the pass starts from; what is missing starts from its initial value.
        steps: T; batch: B.
        like: a tensor of the compute dtype, on the device.
        wanted: ports to keep to the end.
        clock: the first step.
        memo: what layers remember.
        ports: what has been computed: ``[T, B, ...]``, or ``[B, ...]`` for what does not change.
        after: state key -> its value after the pass.
        statistics: parameter key -> what training has measured so far.
    """

    network: Network
    params: Tensors
    before: Tensors
    steps: int
    batch: int
    like: Tensor
    wanted: frozenset[str]
    clock: Clock
    memo: Memo = field(default_factory=Memo)
    ports: dict[str, Tensor] = field(default_factory=dict)
    after: dict[str, Tensor] = field(default_factory=dict)
    statistics: dict[str, Tensor] = field(default_factory=dict)

    # -- signals ----------------------------------------------------------------------------------

    def arriving(self, node: str, port: str) -> tuple[Tensor, bool]:
        """The sum of a port's edges over all steps, and whether it has no time axis."""
        first, *others = map(self.signal, self.network.program.into(node, port))
        total, constant = first
        for x, fixed in others:
            total, constant = total + x, constant and fixed
        return total, constant

    def signal(self, edge: Edge) -> tuple[Tensor, bool]:
        """What one edge brings over all steps, and whether it has no time axis."""
        x, fixed = self.ports[edge.src], edge.src in self.network.schedule.static
        return (self._delayed(edge, self.over_time(x, fixed)), False) if edge.delay else (x, fixed)

    def over_time(self, x: Tensor, fixed: bool) -> Tensor:
        """``[T, B, ...]``, whether or not it changes."""
        return x.expand(self.steps, *x.shape) if fixed else x

    def _delayed(self, edge: Edge, x: Tensor) -> Tensor:
        """What arrives late: first what was under way, then the signal; the rest stays under way."""
        line = torch.cat([self.under_way(edge), x])
        # a view would keep the whole line alive
        self.after[edge.key] = line[self.steps :].to(self.like.dtype, copy=True)
        return line[: self.steps]

    def under_way(self, edge: Edge) -> Tensor:
        """The content of a delayed edge before the first step, ``[delay, B, ...]``, oldest first."""
        shape = (edge.delay, self.batch, *self.network.shapes[edge.src])
        if edge.key in self.before:
            found = self.before[edge.key]
        elif isinstance(edge.init, str):
            found = self.params[edge.init].expand(shape)
        else:
            found = self.like.new_full(shape, edge.init)
        return found.to(self.signals)

    @property
    def signals(self) -> torch.dtype:
        """The dtype of what passes between nodes."""
        return self.network.signals or self.like.dtype

    def keep(self, name: str, found: Tensors) -> None:
        self.ports |= {f"{name}.{port}": y for port, y in found.items()}

    def forget(self, ports: frozenset[str]) -> None:
        """Let go of what nothing reads any more."""
        for port in ports - self.wanted:
            self.ports.pop(port, None)

    def used(self, name: str) -> list[str]:
        """The ports of a node that somebody reads or wants."""
        used = self.network.read | self.wanted
        return [port for port in self.network.program.nodes[name].out_ports if f"{name}.{port}" in used]

    # -- nodes ------------------------------------------------------------------------------------

    def provider(self, name: str | None = None) -> Provider:
        """Who runs a node's kernels; None: who gives room to all."""
        found = self.network.runners.get(name or "", self.network.provider)
        return found or provider_for(self.like.device.type)

    def states_of(self, name: str) -> dict[str, Tensor]:
        """A neuron's states before the pass, by their own names."""
        op = self.network.program.nodes[name]
        names = [state.name for state in op.model.states] if isinstance(op, Neuron) else []
        return {state: self.before[f"{name}.{state}"] for state in names if f"{name}.{state}" in self.before}

    def neuron(self, name: str) -> BoundScan:
        """A neuron over all steps: the ports that somebody wants, and its states afterwards."""
        op = self._neuron(name)
        noise = self._noise(name, self.clock, self.steps, derivatives=torch.is_grad_enabled())
        arriving = {port: self.arriving(name, port) for port in op.in_ports}
        fixed = {port for port, (_, constant) in arriving.items() if constant}
        idle = {port for port, (_, drawn) in noise.items() if not drawn}
        return use_of(
            self.network.equations[name],
            {port: x for port, (x, _) in {**arriving, **noise}.items()},
            self.params_of(name),
            self.states_of(name),
            steps=self.steps,
            outputs=self.used(name),
            static=frozenset(idle | fixed),
            **self._how(name),
        )

    def neuron_step(
        self, name: str, xs: Tensors, states: Tensors, step: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """A neuron over one step: inputs, ports and states are ``[B, ...]``."""
        xs = {**xs, **self.noise_at(name, step, derivatives=torch.is_grad_enabled())}
        return run_step(
            self.network.equations[name],
            xs,
            self.params_of(name),
            states,
            outputs=self.used(name),
            **self._how(name),
        )

    def noise_at(self, name: str, step: int, *, derivatives: bool) -> dict[str, Tensor]:
        """A node's random inputs at one step, ``[B, ...]``; those that derivatives alone read when asked."""
        noise = self._noise(name, self.clock.later(step), 1, derivatives=derivatives)
        return {port: x[0] if drawn else x for port, (x, drawn) in noise.items()}

    def stateless(self, name: str, rows: Tensors) -> dict[str, Tensor]:
        """A stateless node over rows ``[M, ...]``."""
        op, params = self.network.program.nodes[name], self.params_of(name)
        if isinstance(op, Pointwise):
            return run_step(
                self.network.equations[name], rows, params, {}, outputs=op.out_ports, **self._how(name)
            )[0]
        return {"y": self.operation(name)(op, rows, params)}

    def operation(self, name: str) -> Operation:
        """What computes a stateless node."""
        kind = type(self.network.program.nodes[name])
        layer = self.network.layers.get(name) or OPERATIONS[kind]
        if watched([self.like]):  # a layer of one's own has kernels that nobody sees
            layer = OPERATIONS[kind]
        remembers = name in self.network.remembering and layer is self.network.layers[name]
        found = cast("Remembering", layer).at(name, self.memo) if remembers else cast("Operation", layer)
        if self.network.signals and layer is OPERATIONS[kind] and kind not in MOVING:
            found = partial(_widened, found)
        return partial(_cast_back, found) if self.autocast else found

    @property
    def autocast(self) -> bool:
        """Whether torch computes products at a lower precision than signals have."""
        return torch.is_autocast_enabled(self.like.device.type)

    def timed(self, name: str, x: Tensor, clock: Clock, steps: int) -> Tensor:
        """A node that tells steps apart: ``[T, B, ...]``, or ``[1, B, ...]`` where nothing changes."""
        op = self.network.program.nodes[name]
        wider = x.to(wide(x.dtype))
        found = TIMED[type(op)](op, wider, self.params_of(name), self._span(name, clock, steps))
        keys = self.network.keys[name]
        self.statistics |= {keys[param]: value.detach() for param, value in found.statistics.items()}
        return found.y.to(x.dtype)

    def _noise(
        self, name: str, clock: Clock, steps: int, *, derivatives: bool
    ) -> dict[str, tuple[Tensor, bool]]:
        """A node's random inputs ``[T, B, ...]``, and True; zeros ``[B, ...]``, and False, for those that
        nobody asks for."""
        op = self.network.program.nodes[name]
        assert isinstance(op, (Neuron, Pointwise))
        step, span = self.network.equations[name], self._span(name, clock, steps)
        if not step.noise:
            return {}
        shape = (self.batch, *self.network.shapes[f"{name}.{op.out_ports[0]}"])
        read = step.noise if derivatives else step.drawn
        drawn = {port: span.uniform(port, shape).to(self.like) for port in read}
        zero = self.like.new_zeros(shape)
        return {port: (drawn.get(port, zero), port in drawn) for port in step.noise}

    def _span(self, name: str, clock: Clock, steps: int) -> Span:
        return Span(name, clock, steps, self.network.training, self.provider(name), self.like.device)

    def _neuron(self, name: str) -> Neuron:
        op = self.network.program.nodes[name]
        assert isinstance(op, Neuron)
        return op

    def _how(self, name: str) -> How:
        return {"dt": self.network.program.time.dt, "provider": self.provider(name)}

    def params_of(self, name: str) -> dict[str, Tensor]:
        keys = self.network.keys[name]
        new = self.statistics
        return {param: new[key] if key in new else self.params[key] for param, key in keys.items()}
