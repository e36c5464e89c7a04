"""The reference's run with error bounds: how near each neuron comes to its threshold, and how far from
the reference a backend may be at every port.

What a backend returned may be given along. Where its spike is the reference's, what follows is bounded
by that spike alone; where it differs although the comparison was open, by both. So the causal cone of a
differing spike is computed, not assumed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Final

import numpy as np
from numpy.typing import DTypeLike

from snnhw.ir import (
    CLOCK,
    BatchNorm,
    Clock,
    Expr,
    Input,
    Neuron,
    Op,
    Output,
    Params,
    Pointwise,
    Program,
    evaluate,
    infer_shapes,
    uniform,
)
from snnhw.parity.arrays import Array, Arrays, batch_of
from snnhw.parity.rounding.bounded import ULPS, Bounded, exactly, functions, plus
from snnhw.parity.rounding.firing import Spikes, equations_of, open_at
from snnhw.parity.rounding.passing import OTHERS, ROUNDINGS, pass_on
from snnhw.passes import expand
from snnhw.reference.unroll import lines, schedule

__all__ = ["Moment", "walk"]

POINTWISE: Final = (Neuron, Pointwise)

Memory = Mapping[str, tuple[Bounded, ...]]
"""State key -> what is under way, oldest first."""


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
    clock: Clock | None = None,
) -> Iterator[Moment]:
    """Step through a valid program.

    Args:
        inputs: ``[T, B, ...]``, or ``[B, ...]`` when static.
        dtype: what the backend computes in; everything it is given is rounded to that first.
        state: what to start from; None: from rest.
        observed: port -> what the backend returned ``[T, B, ...]``; spikes and states are looked up here.
        clock: of its random numbers: seed and sequence; a state says itself which sequence it belongs to.
    """
    given = _Given(program, params, inputs, np.dtype(dtype), observed=observed or {}, clock=clock or Clock())
    memory = given.memory(state)
    for step in range(time_steps):
        with np.errstate(all="ignore"):  # infinities and NaN are values here, as in the reference
            moment = given.moment(step, memory)
        memory = {line.key: (*memory[line.key][1:], moment.ports[line.source]) for line in given.lines}
        yield moment


class _Given:
    """What is the same at every step."""

    def __init__(
        self,
        program: Program,
        params: Params,
        inputs: Arrays,
        dtype: np.dtype[np.generic],
        *,
        observed: Arrays,
        clock: Clock,
    ) -> None:
        program = expand(program, {*ROUNDINGS, *OTHERS, Input, Output, *POINTWISE})
        self.program, self.dtype, self.observed, self.clock = program, dtype, observed, clock
        self.unit = ULPS * float(np.finfo(dtype).eps)  # type: ignore[type-var]  # of a dtype known here only
        self.functions = functions(self.unit)
        self.shapes = infer_shapes(program).shapes
        self.order, self.lines = schedule(program), lines(program)
        self.inputs = {name: self._rounded(array) for name, array in inputs.items()}
        self.params = {key: exactly(self._rounded(array)) for key, array in params.items()}
        self.own = {
            name: {param: self.params[key] for param, key in program.param_keys(name).items()}
            for name in program.nodes
        }
        self.equations = {
            name: equations_of(op, program.time.dt)
            for name, op in program.nodes.items()
            if isinstance(op, POINTWISE)
        }

    def _rounded(self, array: object) -> Array:
        return np.asarray(np.asarray(array, self.dtype), np.float64)

    def memory(self, state: Arrays | None) -> Memory:
        """What the run starts from."""
        batch = batch_of(self.program, self.inputs)
        if state is not None and CLOCK in state:
            self.clock = self.clock.resumed(state[CLOCK].tolist())
        found: dict[str, tuple[Bounded, ...]] = {}
        for line in self.lines:
            if state is not None:
                slots = self._rounded(state[line.key])
                found[line.key] = tuple(map(exactly, slots if line.edge else slots[None]))
                continue
            start = self.params[line.init].value if isinstance(line.init, str) else self._rounded(line.init)
            shape = (batch, *self.shapes[line.source])
            found[line.key] = (exactly(np.broadcast_to(start, shape)),) * line.length
        return found

    def moment(self, step: int, memory: Memory) -> Moment:
        """All nodes at one step."""
        ports: dict[str, Bounded] = {}
        spikes: dict[str, Spikes] = {}
        for name in self.order:
            op = self.program.nodes[name]
            if isinstance(op, Output):
                continue
            if isinstance(op, Input):
                static = name in self.program.time.static_inputs
                found = {"y": exactly(self.inputs[name] if static else self.inputs[name][step])}
            elif isinstance(op, POINTWISE):
                found, fired = self.pointwise(name, op, self.surroundings(name, ports, memory), step)
                spikes |= fired
            else:
                env = self.surroundings(name, ports, memory)
                found = pass_on(op, self.at_step(op, env, step), self.unit)
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

    def at_step(self, op: Op, env: dict[str, Bounded], step: int) -> dict[str, Bounded]:
        """What it sees, where parameters are those of one step."""
        if not isinstance(op, BatchNorm) or op.time_steps is None:
            return env
        own = {name: exactly(part.value[self.clock.step + step]) for name, part in env.items() if name != "x"}
        return {**env, **own}

    def pointwise(
        self, name: str, op: Neuron | Pointwise, env: dict[str, Bounded], step: int
    ) -> tuple[dict[str, Bounded], dict[str, Spikes]]:
        """The outputs of a node that works element by element, and its spikes."""
        sample = self.shapes[f"{name}.{op.out_ports[0]}"]
        batch = len(env[op.in_ports[0]].value)
        env |= {port: _lifted(env[port], 1 + len(sample)) for port in op.in_ports}
        flags, outputs = self.equations[name]
        clock = self.clock.later(step)
        env |= {port: exactly(uniform(clock, name, port, (batch, *sample))) for port in op.equations().drawn}
        fired = {}
        if flags is not None:
            env["reset"] = self.reset(name, flags.stored, env, step)
            z = _spread(self.values([flags.fire], env)[0], (batch, *sample))
            spikes = fired[name] = self.spikes(outputs["spk"], z, env)
            doubt = spikes.doubt(self.seen(f"{name}.spk", step))
            env["spike"] = Bounded((z.value > 0).astype(float), doubt.astype(float))
        found = zip(outputs, self.values(outputs.values(), env), strict=True)
        return {port: _spread(bounded, (batch, *sample)) for port, bounded in found}, fired

    def spikes(self, spk: Expr, z: Bounded, env: Mapping[str, Bounded]) -> Spikes:
        """What the output is, and what it would be."""
        fires = z.value > 0
        either = [self.values([spk], {**env, "spike": exactly(h)})[0].value for h in (fires, ~fires)]
        value, other = (np.broadcast_to(array, fires.shape) for array in either)
        return Spikes(value, other, z)

    def reset(self, name: str, fire: Expr, env: Mapping[str, Bounded], step: int) -> Bounded:
        """R from the stored states: in doubt where it is open, unless what the backend stored decides it."""
        (z,) = self.values([fire], env)
        flag, doubt = z.value > 0, open_at(z)
        stored = self.stored(name, step - 1)
        if stored and np.any(doubt):
            (own,) = self.values([fire], {**env, **stored})
            doubt = doubt & (open_at(own) | ((own.value > 0) != flag))
        return Bounded(flag.astype(float), np.asarray(doubt, float))

    def stored(self, name: str, step: int) -> dict[str, Bounded]:
        """All states of a neuron after a step as the backend returned them; empty when it did not."""
        op = self.program.nodes[name]
        assert isinstance(op, Neuron)
        seen = {state.name: self.seen(f"{name}.{state.name}", step) for state in op.model.states}
        found = {state: exactly(array) for state, array in seen.items() if array is not None}
        return found if step >= 0 and len(found) == len(seen) else {}

    def seen(self, port: str, step: int) -> Array | None:
        """What the backend returned, if it was recorded."""
        return self.observed[port][step] if port in self.observed else None

    def values(self, roots: Iterable[Expr], env: Mapping[str, Bounded]) -> list[Bounded]:
        """Expressions, evaluated."""
        return evaluate(list(roots), env, self.functions)


def _lifted(x: Bounded, rank: int) -> Bounded:
    """Samples broadcast from the right, but the batch axis stays in front."""
    shape = (len(x.value), *[1] * (rank - x.value.ndim), *x.value.shape[1:])
    return Bounded(x.value.reshape(shape), np.broadcast_to(x.error, x.value.shape).reshape(shape))


def _spread(x: Bounded, shape: tuple[int, ...]) -> Bounded:
    """What depends on parameters alone is the same in every sample."""
    return Bounded(np.broadcast_to(x.value, shape), np.broadcast_to(x.error, shape))
