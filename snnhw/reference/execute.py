"""Running a program on arrays: what it means, in NumPy."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import DTypeLike

from snnhw.ir import CLOCK, Clock, Namespace, Output, Params, Program, check_params
from snnhw.ir.inputs import check_inputs, check_record, check_state, check_steps
from snnhw.ir.whole import whole_inputs, whole_state
from snnhw.reference.elementwise import namespace
from snnhw.reference.tape import Array, Var, constant, leaf, tracked
from snnhw.reference.unroll import Memory, Trace, arrival, lines, rest, trace

__all__ = ["Execution", "Start", "begin", "execute", "observe", "to_state"]


@dataclass(frozen=True)
class Execution:
    """What a run gave. The arrays are the caller's.

    Attributes:
        outputs: output name -> ``[T, B, ...]``.
        recordings: recorded port -> ``[T, B, ...]``.
        state: state key -> ``[B, ...]``; a delayed edge: ``[delay, B, ...]``, oldest first.
        margins: neuron -> what it compared with 0 before firing, ``[T, B, ...]``; when asked for.
        statistics: parameter key -> its value after the run, of what training measures; of a run of training.
    """

    outputs: dict[str, Array]
    recordings: dict[str, Array]
    state: dict[str, Array]
    margins: dict[str, Array] = field(default_factory=dict)
    statistics: dict[str, Array] = field(default_factory=dict)


def execute(
    program: Program,
    params: Params,
    inputs: Mapping[str, Array],
    *,
    time_steps: int | None = None,
    state: Mapping[str, Array] | None = None,
    record: Sequence[str] = (),
    margins: bool = False,
    dtype: DTypeLike = np.float64,
    training: bool = False,
    clock: Clock | None = None,
) -> Execution:
    """Run a valid program.

    Args:
        inputs: ``[B, ...]`` for a static input, ``[T, B, ...]`` for any other.
        time_steps: T; may be left out unless every input is static.
        state: the ``state`` of an earlier run to continue; None starts from rest.
        record: ports to return besides the outputs, such as ``"lif1.mem"``.
        margins: also return what each neuron compares with 0.
        dtype: every operation rounds once to it, in the order in which it is written; a program of integers
            is computed in int64, whatever it is.
        training: run as a step of training does, with statistics of the batch and elements left out.
        clock: seed and sequence of the random numbers; a state says itself which sequence it belongs to.

    Raises:
        InputError: inputs, state or ports that do not fit.
        ProgramError: parameters that do not fit.
    """
    start = begin(
        program,
        params,
        inputs,
        time_steps=time_steps,
        state=state,
        dtype=dtype,
        training=training,
        clock=clock,
    )
    return observe(start, start.run(record, margins=margins), record)


@dataclass(frozen=True)
class Start:
    """Everything that a run starts from, on the tape.

    Attributes:
        params: parameter key -> value.
        inputs: input name -> its value at every step; a static one is the same value each time.
        memory: state key -> what is under way.
        functions: the operations at the compute dtype.
        batch: B.
        clock: the first step; training: whether it is a run of training.
        wrt_inputs: whether the inputs are tracked; wrt_state: whether the memory is.
    """

    program: Program
    params: dict[str, Var]
    inputs: dict[str, tuple[Var, ...]]
    memory: Memory
    functions: Namespace
    batch: int
    clock: Clock
    training: bool
    wrt_inputs: bool
    wrt_state: bool

    @property
    def steps(self) -> int:
        """T."""
        return len(next(iter(self.inputs.values())))

    def run(self, watch: Collection[str] = (), *, margins: bool = False) -> Trace:
        """Run, keeping the outputs and the ports to ``watch``."""
        check_record(self.program, watch)
        ports = [*map(arrival, self.program.named(Output)), *watch]
        with np.errstate(all="ignore"):  # infinities and NaN are values here, as on every other backend
            return trace(
                self.program,
                self.params,
                self.inputs,
                self.memory,
                self.functions,
                watch=ports,
                margins=margins,
                clock=self.clock,
                training=self.training,
            )


def begin(
    program: Program,
    params: Params,
    inputs: Mapping[str, Array],
    *,
    time_steps: int | None,
    state: Mapping[str, Array] | None,
    dtype: DTypeLike,
    training: bool,
    clock: Clock | None,
    wrt_params: Collection[str] = (),
    wrt_inputs: bool = False,
    wrt_state: bool = False,
) -> Start:
    """Check everything and put it on the tape; ``wrt_...`` says what a gradient will be asked of."""
    check_params(program, params, allow_nonfinite=True)  # a run that diverges is still a run
    if program.formats:
        dtype = np.int64
        whole_inputs(program, inputs)
        whole_state(program, state or {})
    given = {name: np.asarray(array, dtype) for name, array in inputs.items()}
    steps, batch = check_inputs(program, {name: array.shape for name, array in given.items()}, time_steps)
    functions = namespace(dtype)
    wrap = leaf if wrt_inputs else constant
    weights = {
        key: (leaf if key in wrt_params else constant)(np.asarray(array, dtype))
        for key, array in params.items()
    }
    now = clock or Clock()
    if state is None:
        memory = rest(program, weights, functions, batch)
    else:
        before = {key: np.asarray(array, dtype) for key, array in state.items()}
        check_state(program, {key: array.shape for key, array in before.items()}, batch)
        now = now.resumed(before.pop(CLOCK).tolist()) if program.clocked else now
        memory = _memory(program, before)
    check_steps(program, now, steps, batch, training=training)
    if wrt_state:
        memory = {key: tuple(map(tracked, values)) for key, values in memory.items()}
    return Start(
        program=program,
        params=weights,
        inputs={
            name: (wrap(array),) * steps if name in program.time.static_inputs else tuple(map(wrap, array))
            for name, array in given.items()
        },
        memory=memory,
        functions=functions,
        batch=batch,
        clock=now,
        training=training,
        wrt_inputs=wrt_inputs,
        wrt_state=wrt_state,
    )


def observe(start: Start, run: Trace, record: Sequence[str]) -> Execution:
    """What a run leaves, as arrays of the caller's own."""
    program = start.program
    end = {CLOCK: np.array(start.clock.later(start.steps).numbers)} if program.clocked else {}
    return Execution(
        outputs={name: _stacked(run.signals[arrival(name)]) for name in program.named(Output)},
        recordings={port: _stacked(run.signals[port]) for port in record},
        state=to_state(program, {key: [x.value for x in values] for key, values in run.memory.items()}) | end,
        margins={name: _stacked(values) for name, values in run.margins.items()},
        statistics={key: np.array(x.value) for key, x in run.statistics.items()},
    )


def to_state(program: Program, memory: Mapping[str, Sequence[Array]]) -> dict[str, Array]:
    """What is under way, in the shapes that a run's state has."""
    edges = {line.key for line in lines(program) if line.edge}
    return {key: np.stack(values) if key in edges else np.array(values[0]) for key, values in memory.items()}


def _memory(program: Program, state: Mapping[str, Array]) -> Memory:
    """A run's state, as what is under way."""
    slots = {line.key: state[line.key] if line.edge else state[line.key][None] for line in lines(program)}
    return {key: tuple(map(constant, arrays)) for key, arrays in slots.items()}


def _stacked(values: Sequence[Var]) -> Array:
    return np.stack([value.value for value in values])
