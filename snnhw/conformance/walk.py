"""The reference's run with error bounds: how near each neuron comes to its threshold, and how far from
the reference a backend may be at every port.

What a backend returned may be given along. Where its spike is the reference's, what follows is bounded
by that spike alone; where it differs although the comparison was open, by both. So the causal cone of a
differing spike is computed, not assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from snnhw.conformance.bounded import ULPS, Bounded, exactly, functions, plus
from snnhw.conformance.case import Array, Arrays
from snnhw.conformance.forward import forward
from snnhw.ir import (
    RESET,
    SPIKE,
    Add,
    AvgPool2d,
    Conv2d,
    Expr,
    Flatten,
    Input,
    Linear,
    MaxPool2d,
    Neuron,
    Op,
    Output,
    Params,
    Pointwise,
    Program,
    const,
    evaluate,
    heaviside,
    infer_shapes,
    substitute,
)
from snnhw.ir.expr import replace
from snnhw.reference import RULES
from snnhw.reference.elementwise import namespace
from snnhw.reference.ops import Here
from snnhw.reference.tape import constant
from snnhw.reference.trace import lines, schedule

__all__ = ["TERMS", "Moment", "Spikes", "walk"]

TERMS: Final[Mapping[type[Op], Callable[[Any], int]]] = {
    Linear: lambda op: op.in_features + 1,
    Conv2d: lambda op: op.in_channels // op.groups * op.kernel[0] * op.kernel[1] + 1,
    AvgPool2d: lambda op: op.kernel[0] * op.kernel[1] + 1,
    MaxPool2d: lambda op: 0,
    Flatten: lambda op: 0,
    Add: lambda op: 0,
}
"""Stateless op -> how many roundings one result may collect. Each of these ops is linear in its input
or takes a maximum of it, which `_passed_on` uses; an op that is neither needs a rule of its own there."""

POINTWISE: Final = (Neuron, Pointwise)


@dataclass(frozen=True, eq=False)
class Spikes:
    """A neuron's spikes at one step, ``[B, ...]``.

    Attributes:
        value: what the reference gives; other: what it would give, had the comparison gone the other way.
        open: where either is possible.
    """

    value: Array
    other: Array
    open: Array


@dataclass(frozen=True, eq=False)
class Moment:
    """One step: port -> value and bound, and neuron -> spikes for those that fire."""

    ports: Mapping[str, Bounded]
    spikes: Mapping[str, Spikes]


def walk(
    program: Program,
    params: Params,
    inputs: Arrays,
    *,
    time_steps: int,
    dtype: DTypeLike = np.float32,
    state: Arrays | None = None,
    observed: Arrays | None = None,
) -> Iterator[Moment]:
    """Step through a valid program.

    Args:
        inputs: ``[T, B, ...]``, or ``[B, ...]`` when static.
        dtype: what the backend computes in; everything it is given is rounded to that first.
        state: what to start from; None: from rest.
        observed: port -> what the backend returned ``[T, B, ...]``; spikes are looked up here.
    """
    given = _Given(program, params, inputs, dtype, observed or {})
    memory = given.memory(state)
    for step in range(time_steps):
        with np.errstate(all="ignore"):  # infinities and NaN are values here, as in the reference
            moment = given.moment(step, memory)
        memory = {
            line.key: (*memory[line.key][1:], moment.ports[line.source]) for line in given.lines
        }
        yield moment


Memory = Mapping[str, tuple[Bounded, ...]]


class _Given:
    """What is the same at every step."""

    def __init__(
        self, program: Program, params: Params, inputs: Arrays, dtype: DTypeLike, observed: Arrays
    ) -> None:
        self.program, self.observed = program, observed
        self.rounded = lambda array: np.asarray(np.asarray(array, dtype), np.float64)
        self.inputs = {name: self.rounded(array) for name, array in inputs.items()}
        first = program.named(Input)[0]
        self.batch = self.inputs[first].shape[0 if first in program.time.static_inputs else 1]
        self.unit = ULPS * float(np.finfo(np.dtype(dtype)).eps)
        self.functions = functions(self.unit)
        self.shapes = infer_shapes(program).shapes
        self.order, self.lines = schedule(program), lines(program)
        self.params = {key: exactly(self.rounded(array)) for key, array in params.items()}
        self.own = {
            name: {param: self.params[key] for param, key in program.param_keys(name).items()}
            for name in program.nodes
        }
        self.equations = {
            name: _equations(op, program.time.dt)
            for name, op in program.nodes.items()
            if isinstance(op, POINTWISE)
        }

    def memory(self, state: Arrays | None) -> Memory:
        found = {}
        for line in self.lines:
            if state is not None:
                slots = self.rounded(state[line.key])
                found[line.key] = tuple(map(exactly, slots if line.edge else slots[None]))
                continue
            start = self.params[line.init].value if isinstance(line.init, str) else self.rounded(line.init)
            shape = (self.batch, *self.shapes[line.source])
            found[line.key] = (exactly(np.broadcast_to(start, shape)),) * line.length
        return found

    def moment(self, step: int, memory: Memory) -> Moment:
        ports: dict[str, Bounded] = {}
        spikes: dict[str, Spikes] = {}
        for name in self.order:
            op = self.program.nodes[name]
            if isinstance(op, Output):
                continue
            if isinstance(op, Input):
                static = name in self.program.time.static_inputs
                ports[f"{name}.y"] = exactly(self.inputs[name] if static else self.inputs[name][step])
                continue
            env = self.surroundings(name, ports, memory)
            if isinstance(op, POINTWISE):
                found, fired = self.pointwise(name, op, env, step)
                spikes |= fired
            else:
                found = _passed_on(op, env, self.unit)
            ports |= {f"{name}.{port}": bounded for port, bounded in found.items()}
        return Moment(ports, spikes)

    def surroundings(self, name: str, ports: Mapping[str, Bounded], memory: Memory) -> dict[str, Bounded]:
        """What a node sees: its parameters, its states, and the sums of what its edges bring."""
        op, env = self.program.nodes[name], dict(self.own[name])
        if isinstance(op, Neuron):
            env |= {state.name: memory[f"{name}.{state.name}"][0] for state in op.model.states}
        for port in op.in_ports:
            edges = self.program.into(name, port)
            arriving = [memory[edge.key][0] if edge.delay else ports[edge.src] for edge in edges]
            env[port] = reduce(lambda a, b: plus(a, b, self.unit), arriving)
        return env

    def pointwise(
        self, name: str, op: Neuron | Pointwise, env: dict[str, Bounded], step: int
    ) -> tuple[dict[str, Bounded], dict[str, Spikes]]:
        shape = (self.batch, *self.shapes[f"{name}.{op.out_ports[0]}"])
        rank = len(shape)
        env |= {port: _lifted(env[port], rank) for port in op.in_ports}
        flags, outputs = self.equations[name]
        if flags is None:
            return dict(zip(outputs, self.values(outputs.values(), env), strict=True)), {}
        env["reset"] = self.reset(name, op, flags.stored, env, step)
        (z,) = self.values([flags.fire], env)
        z = Bounded(np.broadcast_to(z.value, shape), np.broadcast_to(z.error, shape))
        spikes = self.spikes(outputs["spk"], z, env)
        doubt = _doubt(spikes, self.seen(f"{name}.spk", step))
        env["spike"] = Bounded((z.value > 0).astype(float), doubt.astype(float))
        return dict(zip(outputs, self.values(outputs.values(), env), strict=True)), {name: spikes}

    def reset(self, name: str, op: Op, fire: Expr, env: Mapping[str, Bounded], step: int) -> Bounded:
        """R from the stored states: in doubt where it is open, unless what the backend stored decides it."""
        (z,) = self.values([fire], env)
        flag, doubt = z.value > 0, _open(z)
        assert isinstance(op, Neuron)
        stored = {state.name: self.seen(f"{name}.{state.name}", step - 1) for state in op.model.states}
        if step and np.any(doubt) and all(array is not None for array in stored.values()):
            (own,) = self.values([fire], {**env, **{state: exactly(array) for state, array in stored.items()}})
            doubt = doubt & (_open(own) | ((own.value > 0) != flag))
        return Bounded(flag.astype(float), np.asarray(doubt, float))

    def seen(self, port: str, step: int) -> Array | None:
        """What the backend returned, if it was recorded."""
        return self.observed[port][step] if port in self.observed else None

    def spikes(self, spk: Expr, z: Bounded, env: Mapping[str, Bounded]) -> Spikes:
        fires = z.value > 0
        either = [self.values([spk], {**env, "spike": exactly(h)})[0].value for h in (fires, ~fires)]
        value, other = (np.broadcast_to(array, fires.shape) for array in either)
        return Spikes(value, other, _open(z))

    def values(self, roots: Any, env: Mapping[str, Bounded]) -> list[Bounded]:
        return evaluate(list(roots), env, self.functions)


class Flags(NamedTuple):
    """The comparisons of a neuron that fires: z of the new states, and z of the stored ones."""

    fire: Expr
    stored: Expr


def _equations(op: Neuron | Pointwise, dt: float) -> tuple[Flags | None, dict[str, Expr]]:
    """z, and every output in terms of the flags ``spike`` = H(z) and ``reset`` = R."""
    step, length = op.step(), {"dt": const(dt)}
    outputs = forward(substitute(list(step.outputs.values()), length))
    if not isinstance(op, Neuron) or op.model.fire is None or step.fire is None:
        return None, dict(zip(step.outputs, outputs, strict=True))
    fire, stored = forward(substitute([step.fire, op.model.fire], length))
    named = replace(outputs, {heaviside(fire): SPIKE, heaviside(stored): RESET})
    (fire,) = replace([fire], {heaviside(stored): RESET})
    return Flags(fire, stored), dict(zip(step.outputs, named, strict=True))


def _open(z: Bounded) -> Array:
    """Where a backend may find the other side of 0."""
    return np.asarray((np.abs(z.value) <= z.error) & (np.asarray(z.error) > 0))


def _doubt(spikes: Spikes, seen: Array | None) -> Array:
    """Where the flag behind a spike may be either: it is open, and what was seen does not tell."""
    if seen is None:
        return spikes.open
    silent = spikes.value == spikes.other  # graded with a factor of 0: a spike shows nothing
    differs = (seen == spikes.other.astype(seen.dtype)) & ~silent
    return spikes.open & (silent | differs)


def _lifted(x: Bounded, rank: int) -> Bounded:
    """Samples broadcast from the right, but the batch axis stays in front."""

    def lift(array: Any) -> Array:
        array = np.asarray(array)
        return array.reshape(array.shape[0], *[1] * (rank - array.ndim), *array.shape[1:]) if array.ndim else array

    return Bounded(lift(x.value), lift(x.error))


def _passed_on(op: Op, env: Mapping[str, Bounded], unit: float) -> dict[str, Bounded]:
    """What a stateless op makes of values and bounds, by the reference's own rule.

    The rule is linear in x up to an offset, or a maximum. So its value on absolute values bounds the sum of
    absolute values of its terms, and what it makes of the bounds is the rule without the offset.
    """
    slack = TERMS[type(op)](op) * unit
    x, weights = env["x"], {name: np.abs(part.value) for name, part in env.items() if name != "x"}
    value = _rule(op, {name: part.value for name, part in env.items()})
    offset = _rule(op, {**weights, "x": np.zeros_like(x.value[:1])})
    reach = _rule(op, {**weights, "x": np.broadcast_to(x.error, x.value.shape) + slack * np.abs(x.value)})
    return {port: Bounded(y, reach[port] - (1.0 - slack) * offset[port]) for port, y in value.items()}


def _rule(op: Op, env: Mapping[str, Array]) -> dict[str, Array]:
    seen = {name: constant(array) for name, array in env.items()}
    return {port: y.value for port, y in RULES[type(op)](Here(op, seen, _FLOAT64, dt=1.0)).items()}


_FLOAT64 = namespace(np.float64)
