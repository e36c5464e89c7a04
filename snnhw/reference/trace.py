"""A program over its steps, on the tape: the plainest loop that gives it its meaning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from graphlib import TopologicalSorter

from snnhw.ir import Input, Namespace, Neuron, Program, infer_shapes
from snnhw.reference.arrays import broadcast
from snnhw.reference.elementwise import add
from snnhw.reference.ops import RULES, Here, margin
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
    """

    signals: Mapping[str, list[Var]]
    margins: Mapping[str, list[Var]]
    memory: Memory


def trace(
    program: Program,
    params: Mapping[str, Var],
    inputs: Mapping[str, tuple[Var, ...]],
    memory: Memory,
    functions: Namespace,
    *,
    watch: Iterable[str] = (),
    margins: bool = False,
) -> Trace:
    """Run a valid program.

    Args:
        inputs: input name -> its value ``[B, ...]`` at every step.
        memory: what it starts from.
        functions: the operations, and with them the compute dtype.
        watch: ports to keep; ``arrival(name)`` for what reaches an output.
        margins: whether to keep what each neuron compares with 0.
    """
    step = _Step(program, params, functions, margins=margins)
    signals: dict[str, list[Var]] = {port: [] for port in watch}
    fires: dict[str, list[Var]] = {}
    for now in zip(*inputs.values(), strict=True):
        values, fire = step.take(dict(zip(inputs, now, strict=True)), memory)
        memory = step.carry(values, memory)
        for port, kept in signals.items():
            kept.append(values[port])
        for name, z in fire.items():
            fires.setdefault(name, []).append(z)
    return Trace(signals, fires, memory)


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

    def __init__(
        self, program: Program, params: Mapping[str, Var], functions: Namespace, *, margins: bool
    ) -> None:
        self.program = program
        self.functions = functions
        self.margins = margins
        self.order = schedule(program)
        self.lines = lines(program)
        self.shapes = infer_shapes(program).shapes
        self.params = {
            name: {param: params[key] for param, key in program.param_keys(name).items()}
            for name in self.order
        }

    def take(self, inputs: Mapping[str, Var], memory: Memory) -> tuple[dict[str, Var], dict[str, Var]]:
        """Every port's value, and what each neuron compared with 0."""
        batch = next(iter(inputs.values())).shape[0]
        values: dict[str, Var] = {}
        fires: dict[str, Var] = {}
        for name in self.order:
            op = self.program.nodes[name]
            env = self._surroundings(name, inputs, values, memory)
            here = Here(op, env, self.functions, self.program.time.dt)
            for port, value in RULES[type(op)](here).items():
                sample = self.shapes.get(f"{name}.{port}", value.shape[1:])  # an Output has no port
                values[f"{name}.{port}"] = broadcast(value, (batch, *sample))
            if self.margins and (z := margin(here)):
                fires[name] = broadcast(z, (batch, *self.shapes[f"{name}.{op.out_ports[0]}"]))
        return values, fires

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
        """Every line moved on by one step."""
        return {line.key: (*memory[line.key][1:], _carried(values[line.source])) for line in self.lines}


def _carried(x: Var) -> Var:
    """The same value at the next step. Its adjoint is summed there, and arrives here as one number."""
    return result(x.value, (x, lambda g: g))
