"""An executable that evaluates in main memory, of which a backend writes one function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from snnhw.arrays import hosts
from snnhw.errors import InputError
from snnhw.ir import CLOCK, Clock, Optimizer, Params, Program, delay_lines
from snnhw.ir.inputs import check_inputs, check_state, check_steps, state_shapes
from snnhw.ir.whole import whole_inputs, whole_state
from snnhw.plugin import Arrays, Result, Run, StepResult, Train
from snnhw.session.session import Session

__all__ = ["Evaluation", "Given", "Inference"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Given:
    """What one run is given, checked, as copies of one dtype.

    Attributes:
        params: key -> array.
        inputs: name -> ``[T, B, ...]``, or ``[B, ...]`` for those that do not change over time.
        memory: what the run starts from: key of a `snnhw.ir.DelayLine` -> ``[B, ...]``, of an edge
            ``[delay, B, ...]``, oldest first.
        steps: T; batch: B; clock: the first step.
    """

    params: Mapping[str, Array]
    inputs: Mapping[str, Array]
    memory: Mapping[str, Array]
    steps: int
    batch: int
    clock: Clock


class Evaluation(NamedTuple):
    """What one run gives: at least the ports that are asked for, ``[T, B, ...]``, and the memory after it."""

    ports: Mapping[str, Array]
    memory: Mapping[str, Array]


class Inference:
    """See `snnhw.plugin.Executable`. Takes any number of steps and any batch, and does not train.

    Args:
        run: all steps of a run, from what it is given to the ports whose names stand second.
        dtype: what is computed in.
    """

    def __init__(
        self,
        program: Program,
        params: Params,
        job: Run | Train,
        dtype: npt.DTypeLike,
        run: Callable[[Given, tuple[str, ...]], Evaluation],
    ) -> None:
        self._program, self._job, self._run, self._dtype = program, job, run, np.dtype(dtype)
        self._session = Session(program, params, job, dtype)
        self._params = {key: np.array(array, dtype) for key, array in params.items()}
        if isinstance(job, Train):  # core asks `capabilities` first; this is for those who do not
            raise InputError("this backend only evaluates; compile without a loss and an optimizer")

    def run(self, inputs: Arrays, state: Arrays | None = None) -> Result:
        self._session.check_open()
        program, outputs = self._program, self._program.outputs()
        whole_inputs(program, inputs)
        given = self._copies("input", inputs)
        known = self._job.time_steps if set(given) <= set(program.time.static_inputs) else None
        steps, batch = check_inputs(program, {name: x.shape for name, x in given.items()}, known)
        whole_state(program, state or {})
        memory = self._at_rest(batch) if state is None else self._copies("state", state)
        check_state(program, {key: x.shape for key, x in memory.items()}, batch)
        clock = Clock(self._job.seed)
        clock = clock.resumed(memory.pop(CLOCK).tolist()) if program.clocked else clock
        check_steps(program, clock, steps, batch, training=False)
        ports = tuple(dict.fromkeys((*outputs.values(), *self._job.record)))
        found = self._run(Given(self._params, given, memory, steps, batch, clock), ports)
        after = dict(found.memory)
        if program.clocked:
            after[CLOCK] = np.array(clock.later(steps).numbers, self._dtype)
        return Result(
            {name: np.array(found.ports[port]) for name, port in outputs.items()},
            {port: np.array(found.ports[port]) for port in self._job.record},
            after,
        )

    def _at_rest(self, batch: int) -> dict[str, Array]:
        """Every line filled with what it begins with; a clock at 0."""
        found, starts = {}, {line.key: line.init for line in delay_lines(self._program)}
        for key, shape in state_shapes(self._program, batch).items():
            init = starts.get(key, 0.0)
            start = self._params[init] if isinstance(init, str) else init
            found[key] = np.array(np.broadcast_to(start, shape), self._dtype)
        return found

    def _copies(self, what: str, arrays: Arrays) -> dict[str, Array]:
        return {name: np.array(array, self._dtype) for name, array in hosts(what, arrays).items()}

    # What is new is made first, and then takes the place of the old in one assignment: whatever interrupts
    # finds one or the other.

    def get_params(self) -> Params:
        self._session.check_open()
        return {key: array.copy() for key, array in self._params.items()}

    def set_params(self, params: Params) -> None:
        self._params = {**self._params, **self._session.taken(params, self._params)}

    def save_state(self) -> Arrays:
        self._session.check_open()
        return self._session.save(self._params, self._session.start)

    def load_state(self, arrays: Arrays) -> None:
        self._params, _ = self._session.load(arrays)

    def step(self, inputs: Arrays, targets: Arrays, state: Arrays | None = None) -> StepResult:
        self._session.training()  # says that this was compiled to run only
        raise AssertionError("a job that trains is refused at first")

    def set_optimizer(self, optimizer: Optimizer) -> None:
        self._session.check_optimizer(optimizer)

    def close(self) -> None:
        self._session.close()
        self._params = {}

    def __enter__(self) -> Inference:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
