"""From a program and a job to a recipe: the time loop, what stands before it, and the loss behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from snnhw.errors import Unsupported
from snnhw.ir import Edge, Input, Loss, Neuron, Program, Shape, infer_shapes
from snnhw.passes import components
from snnhw_ipu.layers import LAYERS, Here, why_not
from snnhw_ipu.losses import lower_loss
from snnhw_ipu.recipe import STEP, Draft, Register

__all__ = ["RESTING", "Lowered", "Noise", "Plan", "lower"]

RESTING = "resting"
"""An argument besides the states: 1 for a sample that starts from rest whatever its states say, else 0."""


@dataclass(frozen=True)
class Noise:
    """Random numbers that the host draws: the device's own would be other ones.

    Attributes:
        node, name: what they are for; see `snnhw.ir.uniform`.
        shape: of one sample at one step.
        held: whether they are the same at every step.
    """

    node: str
    name: str
    shape: Shape
    held: bool


@dataclass(frozen=True)
class Lowered:
    """A recipe, and how its arguments and results are to be read.

    Attributes:
        recipe: as `snnhw_ipu.worker.model` describes it; JSON has room for all of it.
        constants: parameters of the recipe that are none of the program.
        ports: port -> which result it is; states: state key -> likewise.
        noise: argument that holds random numbers -> which.
    """

    recipe: dict[str, Any]
    constants: dict[str, npt.NDArray[Any]]
    ports: dict[str, int]
    states: dict[str, int]
    noise: dict[str, Noise]


@dataclass(frozen=True)
class Plan:
    """What is asked of a program.

    Attributes:
        steps: T.
        batch: number of samples that the device sees at once.
        wanted: ports to return, ``[B, T, ...]``.
        loss: its value is returned as well; its terms name their ports.
        training: whether it is a step of training; derivatives: whether they matter.
        continued: whether the states to start from are arguments.
        finals: whether to return the states after the last step.
        dtype: of signals.
        parts: in how many parts a batch comes; see `snnhw_ipu.losses.Reading`.
    """

    steps: int
    batch: int
    wanted: tuple[str, ...]
    loss: Loss | None = None
    training: bool = False
    derivatives: bool = False
    continued: bool = False
    finals: bool = True
    dtype: str = "float32"
    parts: int = 1


def lower(program: Program, plan: Plan) -> Lowered:
    """The recipe of a valid program.

    Raises:
        Unsupported: an op that cannot be written.
    """
    reasons = [
        f"{name} ({type(op).__name__}): {why_not(op) or 'this kind of op is not supported'}"
        for name, op in program.nodes.items()
        if type(op) not in LAYERS or why_not(op)
    ]
    if reasons:
        raise Unsupported("ipu", reasons)
    return _Lowering(program, plan).take()


@dataclass(frozen=True)
class _Line:
    """What is carried from step to step: a neuron's state, or a delayed edge.

    Attributes:
        key: of the run's state; source: the port that feeds it.
        slots: registers, oldest first; edge: whether it is an edge, whose state has an axis for its length.
    """

    key: str
    source: str
    init: float | str
    slots: tuple[str, ...]
    edge: bool


class _Lowering:
    def __init__(self, program: Program, plan: Plan) -> None:
        self.program, self.plan = program, plan
        self.shapes = infer_shapes(program).shapes
        self.inputs = program.named(Input)
        self.draft = Draft(like=Register(f"input:{self.inputs[0]}", fixed=True))
        self.ports: dict[str, Register] = {}
        self.next: dict[str, Register] = {}  # neuron's state -> its value after the step
        self.moved: dict[str, Register] = {}  # statistic's key -> likewise
        self.noise: dict[str, Noise] = {}
        self.specs = program.params()
        self.lines = {line.key: line for line in _lines(program)}

    def take(self) -> Lowered:
        plan = self.plan
        initial = {slot: at.name for line in self.lines.values() for slot, at in self._initial(line)}
        for component in components(self.program):
            for name in component.nodes:
                self._node(name)
        initial |= {_statistic(key): f"param:{key}" for key in self.moved}
        read = tuple(str(term.of) for term in plan.loss.terms) if plan.loss else ()
        ports = tuple(dict.fromkeys((*plan.wanted, *read)))
        keep = {self.ports[port].name: f"over time {self.ports[port].name}" for port in ports}
        carry = dict(self._carried())
        self.draft.end()
        signals = {port: self._kept(port) for port in ports}
        targets, value = self._loss(signals)
        states = {key: self._final(line) for key, line in self.lines.items()} if plan.finals else {}
        results = list(dict.fromkeys([*(signals[port].name for port in plan.wanted), *states.values()]))
        recipe = {
            "steps": plan.steps,
            "inputs": [*(f"input:{name}" for name in self.inputs), *self.noise],
            "targets": targets,
            "states": [*(f"state:{key}" for key in self.lines), RESTING] if self._takes_states() else [],
            "once": self.draft.once,
            "start": initial,
            "each": self.draft.each,
            "carry": carry,
            "keep": keep,
            "after": self.draft.after,
            "moved": {key: _statistic(key) for key in self.moved},
            "returns": results,
            "loss": value,
        }
        places = {port: results.index(signals[port].name) for port in plan.wanted}
        finals = {key: results.index(name) for key, name in states.items()}
        return Lowered(recipe, self.draft.constants, places, finals, self.noise)

    def _loss(self, signals: Mapping[str, Register]) -> tuple[list[str], str | None]:
        """The targets that it takes, and where its value is."""
        loss = self.plan.loss
        if loss is None:
            return [], None
        names = dict.fromkeys(term.target for term in loss.terms if term.kind.target == "class")
        targets = {name: Register(f"target:{name}", fixed=True) for name in names}
        value = lower_loss(self.draft, loss, signals, targets, steps=self.plan.steps, parts=self.plan.parts)
        return [target.name for target in targets.values()], value.name

    # -- nodes --------------------------------------------------------------------------------------

    def _node(self, name: str) -> None:
        op = self.program.nodes[name]
        env = {param: self._param(key) for param, key in self.program.param_keys(name).items()}
        if isinstance(op, Input):
            env["x"] = self._input(name, op)
        if isinstance(op, Neuron):
            env |= {state.name: self._slot(f"{name}.{state.name}") for state in op.model.states}
        for port in op.in_ports:
            env[port] = self.draft.total(self._arriving(edge) for edge in self.program.into(name, port))
        shapes = {port: self.shapes[f"{name}.{port}"] for port in op.out_ports}
        here = Here(
            op,
            self.draft,
            env,
            shapes,
            noise=lambda own, held: self._noise(name, own, held),
            dt=self.program.time.dt,
            batch=self.plan.batch,
            dtype=self.plan.dtype,
            training=self.plan.training,
            derivatives=self.plan.derivatives,
        )
        for port, register in LAYERS[type(op)](here).items():
            kind, _, own = port.partition(" ")
            if kind == "next":
                self.next[f"{name}.{own}"] = register
            elif kind == "moved":
                self.moved[self.program.param_keys(name)[own]] = register
            else:
                self.ports[f"{name}.{port}"] = register

    def _param(self, key: str) -> Register:
        """A parameter; a statistic that training moves, as it is at this point of the step."""
        spec = self.specs[key]
        if spec.kind == "statistic" and self.plan.training:
            return self.moved.get(key) or Register(_statistic(key), spec.shape, batched=False)
        return Register(f"param:{key}", spec.shape, batched=False, fixed=True)

    def _noise(self, node: str, name: str, held: bool) -> Register:
        """Random numbers at this step; for dropout, the factors that follow from them."""
        shape = self.shapes[f"{node}.{self.program.nodes[node].out_ports[0]}"]
        whole = Register(f"noise:{node}:{name}", shape, fixed=True)
        self.noise[whole.name] = Noise(node, name, shape, held)
        return whole if held else self.draft.emit("step", whole, index=STEP, shape=shape)

    def _input(self, name: str, op: Input) -> Register:
        whole = Register(f"input:{name}", op.shape, fixed=True)
        if name in self.program.time.static_inputs:
            return whole
        return self.draft.emit("step", whole, index=STEP, shape=op.shape)

    def _arriving(self, edge: Edge) -> Register:
        return self._slot(edge.key) if edge.delay else self.ports[edge.src]

    # -- what is carried ----------------------------------------------------------------------------

    def _takes_states(self) -> bool:
        return self.plan.continued and bool(self.lines)

    def _slot(self, key: str) -> Register:
        """What a line holds at the start of a step, at its end that is read."""
        line = self.lines[key]
        return Register(line.slots[0], self.shapes[line.source])

    def _initial(self, line: _Line) -> Iterator[tuple[str, Register]]:
        shape = self.shapes[line.source]
        for number, slot in enumerate(line.slots):
            if isinstance(line.init, str):
                rest = self.draft.spread(self._param(line.init), shape)
            else:
                rest = self.draft.emit("full", self.draft.like, value=float(line.init), shape=shape)
            yield slot, self._or_given(rest, line, number, shape) if self._takes_states() else rest

    def _or_given(self, rest: Register, line: _Line, number: int, shape: Shape) -> Register:
        """The state that was handed over, except for a sample that starts from rest."""
        given = Register(f"state:{line.key}", shape, fixed=True)
        if line.edge:
            given = self.draft.emit("step", given, index=number, shape=shape)
        flag = Register(RESTING, fixed=True)
        flag = self.draft.emit("reshape", flag, shape=(1,) * len(shape))
        resting = self.draft.emit("greater", flag, self.draft.const(0.0), shape=(1,) * len(shape))
        return self.draft.emit("where", resting, rest, given, shape=shape)

    def _carried(self) -> Iterator[tuple[str, str]]:
        for key, line in self.lines.items():
            last = self.ports[line.source] if line.edge else self.next[key]
            yield from zip(line.slots, (*line.slots[1:], last.name), strict=True)
        for key, register in self.moved.items():
            yield _statistic(key), register.name

    # -- results ------------------------------------------------------------------------------------

    def _kept(self, port: str) -> Register:
        """A port over all steps."""
        return Register(
            f"over time {self.ports[port].name}", (self.plan.steps, *self.shapes[port]), fixed=True
        )

    def _final(self, line: _Line) -> str:
        shape = self.shapes[line.source]
        slots = [Register(slot, shape, fixed=True) for slot in line.slots]
        return (
            self.draft.emit("stack", *slots, shape=(len(slots), *shape)).name if line.edge else slots[0].name
        )


def _statistic(key: str) -> str:
    """The register that holds a statistic at the start of a step."""
    return f"now {key}"


def _lines(program: Program) -> Iterator[_Line]:
    for name, op in program.nodes.items():
        keys = program.param_keys(name)
        for state in op.model.states if isinstance(op, Neuron) else ():
            key = f"{name}.{state.name}"
            init = keys[state.init] if isinstance(state.init, str) else state.init
            yield _Line(key, key, init, (f"now {key}",), edge=False)
    for edge in program.edges:
        if edge.delay:
            slots = tuple(f"now {edge.key} {number}" for number in range(edge.delay))
            yield _Line(edge.key, edge.src, edge.init, slots, edge=True)
