"""A program over its steps, on the tape: the plainest loop that gives it its meaning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from graphlib import TopologicalSorter

from snnhw.ir import BatchNorm, Clock, Input, Namespace, Neuron, Op, Program, infer_shapes
from snnhw.reference.arrays import broadcast
from snnhw.reference.batchnorm import Moments, measure, moved
from snnhw.reference.elementwise import add
from snnhw.reference.ops import OpContext, margin, rule_of
from snnhw.reference.tape import Var, result

__all__ = ["Line", "Memory", "Trace", "arrival", "lines", "rest", "schedule", "trace"]

Memory = Mapping[str, tuple[Var, ...]]
"""State key -> what is under way, oldest first; each value ``[B, ...]``."""


@dataclass(frozen=True)
class Line:
    """A delay line: a delayed edge, or a neuron's state, which is a line of length 1.

    Attributes:
        key: its name in a run's state.
        source: the port that feeds it.
        length: steps from one end to the other.
        init: what it holds before the first step: a number, or a parameter key.
        edge: whether it is an edge, whose state has a leading axis for its length.
    """

    key: str
    source: str
    length: int
    init: float | str
    edge: bool


@dataclass(frozen=True)
class Trace:
    """What happened.

    Attributes:
        signals: watched port -> its value ``[B, ...]`` at every step.
        margins: neuron -> what it compared with 0, likewise.
        memory: what is carried on to a next run.
        statistics: parameter key -> what training has measured, where it has.
    """

    signals: Mapping[str, list[Var]]
    margins: Mapping[str, list[Var]]
    memory: Memory
    statistics: Mapping[str, Var] = field(default_factory=dict)


def trace(
    program: Program,
    params: Mapping[str, Var],
    inputs: Mapping[str, tuple[Var, ...]],
    memory: Memory,
    functions: Namespace,
    *,
    watch: Iterable[str] = (),
    margins: bool = False,
    clock: Clock | None = None,
    training: bool = False,
) -> Trace:
    """Run a valid program.

    Args:
        inputs: input name -> its value ``[B, ...]`` at every step.
        memory: what it starts from.
        functions: the operations, and with them the compute dtype.
        watch: ports to keep; ``arrival(name)`` for what reaches an output.
        margins: whether to keep what each neuron compares with 0.
        clock: the first step.
        training: whether it is a run of training.
    """
    start = _Start(program, params, inputs, memory, functions, clock or Clock(), training)
    folded = [name for name, op in program.nodes.items() if training and _folded(op)]
    measured: dict[str, Moments] = {}
    for _ in folded:  # what the first of them changes, the next one measures
        seen = _steps(start, measured, watch=[f"{name}.x" for name in folded])
        measured = {name: measure(seen.signals[f"{name}.x"], functions) for name in folded}
    return _steps(start, measured, watch=watch, margins=margins)


@dataclass(frozen=True)
class _Start:
    """What `trace` starts from, for as many passes over all steps as it takes."""

    program: Program
    params: Mapping[str, Var]
    inputs: Mapping[str, tuple[Var, ...]]
    memory: Memory
    functions: Namespace
    clock: Clock
    training: bool


def _folded(op: Op) -> bool:
    """Whether an op normalises by the statistics of all steps, and so has to wait for them."""
    return isinstance(op, BatchNorm) and op.stats == "folded"


def _steps(
    start: _Start, measured: Mapping[str, Moments], *, watch: Iterable[str], margins: bool = False
) -> Trace:
    """One pass over all steps; ``measured`` holds the statistics of nodes that need those of all steps."""
    step = _Step(start, measured, margins=margins)
    signals: dict[str, list[Var]] = {port: [] for port in watch}
    fires: dict[str, list[Var]] = {}
    memory = start.memory
    for number, now in enumerate(zip(*start.inputs.values(), strict=True)):
        clock = start.clock.later(number)
        values, fire = step.take(dict(zip(start.inputs, now, strict=True)), memory, clock)
        memory = step.carry(values, memory)
        for port, kept in signals.items():
            kept.append(values[port])
        for name, z in fire.items():
            fires.setdefault(name, []).append(z)
    return Trace(signals, fires, memory, step.statistics)


def arrival(output: str) -> str:
    """The name under which what reaches an output is watched."""
    return f"{output}.y"


def schedule(program: Program) -> list[str]:
    """Node names, each after those that it reads within the step."""
    reads: dict[str, list[str]] = {name: [] for name in program.nodes}
    for edge in program.edges:
        if edge.delay == 0:
            reads[edge.target.node].append(edge.source.node)
    return list(TopologicalSorter(reads).static_order())


def lines(program: Program) -> list[Line]:
    """Everything that the program remembers from one step to the next."""
    found = []
    for name, op in program.nodes.items():
        keys = program.param_keys(name)
        for state in op.model.states if isinstance(op, Neuron) else ():
            key = f"{name}.{state.name}"
            init = keys[state.init] if isinstance(state.init, str) else state.init
            found.append(Line(key, key, 1, init, edge=False))
    delayed = [edge for edge in program.edges if edge.delay]
    return [*found, *(Line(edge.key, edge.src, edge.delay, edge.init, edge=True) for edge in delayed)]


def rest(program: Program, params: Mapping[str, Var], functions: Namespace, batch: int) -> Memory:
    """The memory before the first step of a run that continues none."""
    shapes = infer_shapes(program).shapes
    memory = {}
    for line in lines(program):
        value = params[line.init] if isinstance(line.init, str) else functions["const"](line.init)
        memory[line.key] = (broadcast(value, (batch, *shapes[line.source])),) * line.length
    return memory


class _Step:
    """One step of a program, with everything that is the same at every step worked out."""

    def __init__(self, start: _Start, measured: Mapping[str, Moments], *, margins: bool) -> None:
        program = self.program = start.program
        self.functions, self.training = start.functions, start.training
        self.margins, self.measured = margins, measured
        self.order = schedule(program)
        self.lines = lines(program)
        formats = program.formats
        self.held = {x.key: formats[x.key] for x in self.lines if x.key in formats}
        self.shapes = infer_shapes(program).shapes
        self.params = {
            name: {param: start.params[key] for param, key in program.param_keys(name).items()}
            for name in self.order
        }
        self.statistics: dict[str, Var] = {}
        for name, found in measured.items():
            op = program.nodes[name]
            assert isinstance(op, BatchNorm)
            self._keep(name, moved(op, self.params[name], found, 0))

    def take(
        self, inputs: Mapping[str, Var], memory: Memory, clock: Clock
    ) -> tuple[dict[str, Var], dict[str, Var]]:
        """Every port's value, and what each neuron compared with 0."""
        batch = next(iter(inputs.values())).shape[0]
        values: dict[str, Var] = {}
        fires: dict[str, Var] = {}
        for name in self.order:
            op = self.program.nodes[name]
            env = self._surroundings(name, inputs, values, memory)
            here = OpContext(
                op,
                env,
                self.functions,
                self.program.time.dt,
                node=name,
                clock=clock,
                training=self.training,
                measured=self.measured.get(name),
            )
            found = rule_of(op)(here)
            self._keep(name, {param: found.pop(param) for param in self.params[name] if param in found})
            for port, value in found.items():
                sample = self.shapes.get(f"{name}.{port}", value.shape[1:])  # an Output has no port
                values[f"{name}.{port}"] = broadcast(value, (batch, *sample))
            if _folded(op):
                values[f"{name}.x"] = env["x"]  # for `trace` to measure
            if self.margins and (z := margin(here)):
                fires[name] = broadcast(z, (batch, *self.shapes[f"{name}.{op.out_ports[0]}"]))
        return values, fires

    def _keep(self, name: str, found: Mapping[str, Var]) -> None:
        """New values of a node's statistics, for the steps to come."""
        self.params[name] |= found
        keys = self.program.param_keys(name)
        self.statistics |= {keys[param]: value for param, value in found.items()}

    def _surroundings(
        self, name: str, inputs: Mapping[str, Var], values: Mapping[str, Var], memory: Memory
    ) -> dict[str, Var]:
        """What a node sees: its parameters, its states, and what its edges bring."""
        op = self.program.nodes[name]
        env = dict(self.params[name])
        if isinstance(op, Input):
            env["x"] = inputs[name]
        if isinstance(op, Neuron):
            env |= {state.name: memory[f"{name}.{state.name}"][0] for state in op.model.states}
        for port in op.in_ports:
            edges = self.program.into(name, port)
            env[port] = reduce(add, [memory[e.key][0] if e.delay else values[e.src] for e in edges])
        return env

    def carry(self, values: Mapping[str, Var], memory: Memory) -> Memory:
        """All lines moved on by a step. A state is within its bits, or its equations are wrong."""
        for key, form in self.held.items():
            form.check(values[key].value, f"after a step, state '{key}'")
        return {line.key: (*memory[line.key][1:], _carried(values[line.source])) for line in self.lines}


def _carried(x: Var) -> Var:
    """The same value at the next step. Its adjoint is summed there, and arrives here as one number."""
    return result(x.value, (x, lambda g: g))
