"""From a program and a job to a recipe: the time loop, what stands before it, and the loss behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from snnhw.ir import (
    BatchNorm,
    DelayLine,
    Edge,
    Input,
    Neuron,
    Op,
    Program,
    Shape,
    delay_lines,
    infer_shapes,
)
from snnhw.passes import components
from snnhw_ipu.layers import LOWERINGS, NodeContext
from snnhw_ipu.losses import by_weight, lower_loss, target_name, target_shape, total_name
from snnhw_ipu.plans import FIRST, RESTING, Lowered, Noise, Plan
from snnhw_ipu.recipe import STEP, Draft, Register
from snnhw_ipu.sums import lengths_name

__all__ = ["Lowering"]


class Lowering:
    """A program being written, for all steps of a walk."""

    def __init__(self, program: Program, plan: Plan) -> None:
        self.program, self.plan = program, plan
        self.shapes = infer_shapes(program).shapes
        self.inputs = program.named(Input)
        self.draft = Draft(like=Register(f"input:{self.inputs[0]}", fixed=True))
        self.ports: dict[str, Register] = {}
        self.home: dict[str, int] = {}  # port, or key of a line or a statistic -> stage in which it changes
        self.over: dict[str, Register] = {}  # port -> its values over all steps
        self.next: dict[str, Register] = {}  # neuron's state -> its value after the step
        self.moved: dict[str, Register] = {}  # statistic's key -> likewise
        self.rows: dict[str, Register] = {}  # statistic's key -> the row that belongs to the step, moved
        self.noise: dict[str, Noise] = {}
        self.clocked = False
        self.specs = program.params()
        self.lines = {line.key: line for line in delay_lines(program)}

    def take(self) -> Lowered:
        plan = self.plan
        initial = {slot: at.name for line in self.lines.values() for slot, at in self._initial(line)}
        for component in components(self.program):
            for name in component.nodes:
                self._node(name)
        initial |= {_statistic(key): f"param:{key}" for key in self.moved}
        signals = {port: self._over_time(port) for port in dict.fromkeys((*plan.wanted, *self._read()))}
        rows = {key: self._kept(register, self.home[key]) for key, register in self.rows.items()}
        self._carry()
        self.draft.end()
        targets, divided, value = self._loss(signals)
        states = {key: self._final(line) for key, line in self.lines.items()} if plan.finals else {}
        results = list(
            dict.fromkeys([*(signals[port].name for port in self._given_back()), *states.values()])
        )
        finals = {key: results.index(name) for key, name in states.items()}
        recipe = {
            "steps": plan.steps,
            "chunks": plan.chunks,
            "batch": plan.batch,
            "timed": self._timed(),
            "over_time": sorted({results.index(signals[port].name) for port in self._given_back()}),
            "finals": {f"state:{key}": place for key, place in finals.items()},
            "inputs": [*(f"input:{name}" for name in self.inputs), *self.noise, *[FIRST] * self.clocked],
            "targets": [*targets, *divided],
            "states": [*(f"state:{key}" for key in self.lines), RESTING] if self._takes_states() else [],
            "start": initial,
            "stages": [stage.data() for stage in self.draft.stages],
            "moved": {key: self._after(key, register) for key, register in self.moved.items()}
            | {key: self._placed(key, register) for key, register in rows.items()},
            "after": self.draft.after,
            "returns": results,
            "loss": value,
            **self._besides({port: results.index(signals[port].name) for port in self._given_back()}),
        }
        places = {port: results.index(signals[port].name) for port in plan.wanted}
        return Lowered(recipe, self.draft.constants, places, finals, self.noise, targets, self._trained())

    def _read(self) -> tuple[str, ...]:
        """The ports that the loss reads."""
        loss = self.plan.loss
        return tuple(dict.fromkeys(str(term.of) for term in loss.terms)) if loss else ()

    def _given_back(self) -> tuple[str, ...]:
        """Ports whose values over time are results."""
        return self.plan.wanted

    def _timed(self) -> list[str]:
        """Arguments with an axis of time, behind the batch."""
        fixed = {f"input:{name}" for name in self.program.time.static_inputs}
        fixed |= {name for name, noise in self.noise.items() if noise.held}
        return [
            name for name in (*(f"input:{each}" for each in self.inputs), *self.noise) if name not in fixed
        ]

    def _besides(self, places: Mapping[str, int]) -> dict[str, Any]:  # of those that need it
        """What else a recipe says; ``places``: port -> number of its result."""
        return {}

    def _trained(self) -> tuple[str, ...]:
        return ()

    def _loss(self, signals: Mapping[str, Register]) -> tuple[dict[str, Shape], list[str], str | None]:
        """The targets that it takes, what batches weigh, and where its value is."""
        return self._loss_on(self.draft, signals, self.plan.steps)

    def _loss_on(
        self, draft: Draft, signals: Mapping[str, Register], steps: int
    ) -> tuple[dict[str, Shape], list[str], str | None]:
        loss = self.plan.loss
        if loss is None:
            return {}, [], None
        named = {target_name(number, term): term for number, term in enumerate(loss.terms)}
        shapes = {
            name: target_shape(term.kind, steps, self.shapes[str(term.of)])
            for name, term in named.items()
            if name is not None
        }
        shapes |= {name: () for term in loss.terms if (name := lengths_name(term))}
        targets = {name: Register(name, shape, fixed=True) for name, shape in shapes.items()}
        value = lower_loss(draft, loss, signals, targets, steps=steps, parts=self.plan.parts)
        divided = [
            total_name(number)
            for number, term in enumerate(loss.terms)
            if self.plan.parts > 1 and by_weight(term.kind) is not None
        ]
        return shapes, divided, value.name

    # -- nodes --------------------------------------------------------------------------------------

    def _node(self, name: str) -> None:
        op = self.program.nodes[name]
        env = {param: self._param(op, key) for param, key in self.program.param_keys(name).items()}
        if isinstance(op, Input):
            env["x"] = self._input(name, op)
        if isinstance(op, Neuron):
            env |= {state.name: self._slot(f"{name}.{state.name}") for state in op.model.states}
        for port in op.in_ports:
            env[port] = self.draft.total(self._arriving(edge) for edge in self.program.into(name, port))
        if self._waits(op) and not env["x"].fixed:
            self._whole(name, op, env)
        else:
            self._keep(name, self._written(name, op, env))

    def _written(self, name: str, op: Op, env: Mapping[str, Register]) -> Mapping[str, Register]:
        here = NodeContext(
            op,
            self.draft,
            env,
            {port: self.shapes[f"{name}.{port}"] for port in op.out_ports},
            noise=partial(self._noise, name),
            first=self._first,
            dt=self.program.time.dt,
            batch=self.plan.batch,
            steps=self.plan.steps if self._waits(op) else 1,
            dtype=self.plan.dtype,
            training=self.plan.training,
            derivatives=self.plan.derivatives,
        )
        return LOWERINGS[type(op)](here)

    def _keep(self, name: str, found: Mapping[str, Register]) -> None:
        statistics = {"moved": self.moved, "rows": self.rows}
        for port, register in found.items():
            kind, _, own = port.rpartition(" ")
            if kind == "next":
                self.next[f"{name}.{own}"] = register
            elif kind:
                key = self.program.param_keys(name)[own]
                statistics[kind][key] = register
                self.home[key] = self.draft.stage
            else:
                self._put(f"{name}.{port}", register)

    def _put(self, port: str, register: Register) -> None:
        self.ports[port] = register
        self.home[port] = self.draft.stage

    def _waits(self, op: Op) -> bool:
        """Whether an op needs all steps of its input at once."""
        return self.plan.training and isinstance(op, BatchNorm) and op.stats == "folded"

    def _whole(self, name: str, op: Op, env: Mapping[str, Register]) -> None:
        """An op that waits: all steps of what arrives as one batch, and another walk for what follows."""
        x, steps = env["x"], self.plan.steps
        whole = self._kept(x, self.draft.stage)
        self._carry()
        self.draft.cut()
        folded = self.draft.emit("fold", whole, shape=x.shape)
        found = dict(self._written(name, op, {**env, "x": folded}))
        y = self.draft.emit("unfold", found.pop("y"), self.draft.like, shape=(steps, *x.shape))
        self._keep(name, found)
        self.over[f"{name}.y"] = y
        self._put(f"{name}.y", self.draft.emit("step", y, index=STEP, shape=x.shape))

    def _param(self, op: Op, key: str) -> Register:
        """A parameter; a statistic that every step moves, as it is at this one."""
        spec = self.specs[key]
        moves = spec.kind == "statistic" and self.plan.training and not self._waits(op)
        if moves and not (isinstance(op, BatchNorm) and op.time_steps):
            return Register(_statistic(key), spec.shape, batched=False)
        return self._weight(key)

    def _weight(self, key: str) -> Register:
        return Register(f"param:{key}", self.specs[key].shape, batched=False, fixed=True)

    def _first(self) -> Register:
        """The number of the first step."""
        self.clocked = True
        return Register(FIRST, fixed=True)

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
        return self._slot(edge.key) if edge.delay else self._at_this_step(edge.src)

    # -- signals ------------------------------------------------------------------------------------

    def _at_this_step(self, port: str) -> Register:
        """A port's value; one of an earlier walk, out of its values over time."""
        register = self.ports[port]
        if register.fixed or self.home[port] == self.draft.stage:
            return register
        return self.draft.emit("step", self._over_time(port), index=STEP, shape=register.shape)

    def _over_time(self, port: str) -> Register:
        if port not in self.over:
            self.over[port] = self._kept(self.ports[port], self.home[port], self.shapes[port])
        return self.over[port]

    def _kept(self, register: Register, stage: int, shape: Shape | None = None) -> Register:
        """Values over all steps of a register that changes in some walk."""
        name = f"over time {register.name}"
        self.draft.stages[stage].keep[register.name] = name
        return Register(name, (self.plan.steps, *(register.shape if shape is None else shape)), fixed=True)

    # -- what is carried ----------------------------------------------------------------------------

    def _takes_states(self) -> bool:
        return self.plan.continued and bool(self.lines)

    def _slot(self, key: str) -> Register:
        """What a line holds at the start of a step, at its end that is read."""
        line = self.lines[key]
        self.home[key] = self.draft.stage
        return Register(_slots(line)[0], self.shapes[line.source])

    def _initial(self, line: DelayLine) -> Iterator[tuple[str, Register]]:
        shape = self.shapes[line.source]
        for number, slot in enumerate(_slots(line)):
            if isinstance(line.init, str):
                rest = self.draft.spread(self._weight(line.init), shape)
            else:
                rest = self.draft.emit("full", self.draft.like, value=float(line.init), shape=shape)
            yield slot, self._or_given(rest, line, number, shape) if self._takes_states() else rest

    def _or_given(self, rest: Register, line: DelayLine, number: int, shape: Shape) -> Register:
        """The state that was handed over, except for a sample that starts from rest."""
        given = self._handed(line)
        if line.edge:
            given = self.draft.emit("step", given, index=number, shape=shape)
        flag = Register(RESTING, fixed=True)
        flag = self.draft.emit("reshape", flag, shape=(1,) * len(shape))
        resting = self.draft.emit("greater", flag, self.draft.const(0.0), shape=(1,) * len(shape))
        return self.draft.emit("where", resting, rest, given, shape=shape)

    def _handed(self, line: DelayLine) -> Register:
        """A whole line that was handed over."""
        return Register(f"state:{line.key}", self._line_shape(line), fixed=True)

    def _line_shape(self, line: DelayLine) -> Shape:
        shape = self.shapes[line.source]
        return (line.length, *shape) if line.edge else shape

    def _carry(self) -> None:
        """What the walk that ends here carries from step to step."""
        here = self.draft.stage
        carry: dict[str, str] = {}
        for key, line in self.lines.items():
            if self.home.get(key) == here:
                last = self._at_this_step(line.source) if line.edge else self.next[key]
                slots = _slots(line)
                carry |= zip(slots, (*slots[1:], last.name), strict=True)
        for key, register in self.moved.items():
            if not register.fixed and self.home[key] == here:
                carry[_statistic(key)] = register.name
        self.draft.stages[here].carry = carry

    # -- results ------------------------------------------------------------------------------------

    def _final(self, line: DelayLine) -> str:
        shape = self.shapes[line.source]
        slots = [Register(slot, shape, fixed=True) for slot in _slots(line)]
        return (
            self.draft.emit("stack", *slots, shape=self._line_shape(line)).name
            if line.edge
            else slots[0].name
        )

    def _after(self, key: str, register: Register) -> str:
        """Where a statistic is after the last step."""
        return register.name if register.fixed else _statistic(key)

    def _placed(self, key: str, rows: Register) -> str:
        """Statistics of which every step has its own, with the rows that these steps have moved."""
        spec = self.specs[key]
        whole = Register(f"param:{key}", spec.shape, batched=False, fixed=True)
        numbers = self.draft.constant(f"#numbers:{spec.shape[0]}", np.arange(spec.shape[0], dtype=np.int32))
        return self.draft.emit(
            "place", whole, rows, self._first(), numbers, shape=spec.shape, batched=False
        ).name


def _slots(line: DelayLine) -> tuple[str, ...]:
    """The registers of a line, oldest first."""
    if not line.edge:
        return (f"now {line.key}",)
    return tuple(f"now {line.key} {number}" for number in range(line.length))


def _statistic(key: str) -> str:
    """The register that holds a statistic at the start of a step."""
    return f"now {key}"
