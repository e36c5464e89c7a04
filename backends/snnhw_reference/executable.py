"""A program, its parameters and its optimizer, behind the interface that every backend has."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from snnhw.errors import InputError
from snnhw.ir import Clock, Input, Optimizer, Params, Program, check_params
from snnhw.ir.noise import LIMIT
from snnhw.plugin import Arrays, Result, Run, StepResult, Train
from snnhw.reference import clip_by_norm, execute, gradients, update
from snnhw_reference.saved import Saved, read

__all__ = ["ReferenceExecutable"]

Array = npt.NDArray[Any]


class ReferenceExecutable:
    """See `snnhw.plugin.Executable`. Takes any number of steps and any batch at every call."""

    def __init__(self, program: Program, params: Params, job: Run | Train, dtype: np.dtype[Any]) -> None:
        self._program = program
        self._job = job
        self._dtype = dtype
        self._host_dtypes = {key: np.asarray(array).dtype for key, array in params.items()}
        self._params = {key: np.array(array, dtype) for key, array in params.items()}
        self._optimizer = job.optimizer if isinstance(job, Train) else None
        self._memory: dict[str, Array] = {}
        self._grads: dict[str, Array] = {}
        self._pending = 0  # calls of step since the last update
        self._sequence = 0  # sequences trained so far
        self._closed = False
        all_static = set(program.named(Input)) <= set(program.time.static_inputs)
        self._time_steps = job.time_steps if all_static else None  # None: the inputs say

    def run(self, inputs: Arrays, state: Arrays | None = None) -> Result:
        self._check_open()
        found = execute(
            self._program,
            self._params,
            _hosts("input", inputs),
            time_steps=self._time_steps,
            state=None if state is None else _hosts("state", state),
            record=self._job.record,
            dtype=self._dtype,
            clock=Clock(self._job.seed),
        )
        return Result(found.outputs, found.recordings, found.state)

    def step(self, inputs: Arrays, targets: Arrays, state: Arrays | None = None) -> StepResult:
        job = self._training()
        sequence = (self._sequence + (state is None)) % LIMIT
        found = gradients(
            self._program,
            self._params,
            _hosts("input", inputs),
            _hosts("target", targets),
            job.loss,
            time_steps=self._time_steps,
            state=None if state is None else _hosts("state", state),
            dtype=self._dtype,
            clock=Clock(job.seed, sequence),
        )
        self._sequence = sequence
        self._params |= found.execution.statistics
        for key, grad in found.params.items():
            share = grad / job.accumulate
            self._grads[key] = self._grads[key] + share if key in self._grads else share
        self._pending += 1
        if self._pending == job.accumulate:
            self._update(job)
        return StepResult(found.loss, found.execution.outputs, found.execution.state)

    def _update(self, job: Train) -> None:
        grads = self._grads if job.clip_norm is None else clip_by_norm(self._grads, job.clip_norm)
        assert self._optimizer is not None
        self._params, self._memory = update(self._optimizer, self._params, grads, self._memory)
        self._grads, self._pending = {}, 0

    def set_optimizer(self, optimizer: Optimizer) -> None:
        self._training()
        if type(optimizer) is not type(self._optimizer):
            raise InputError(
                f"this program was compiled with {type(self._optimizer).__name__}, which cannot become "
                f"{type(optimizer).__name__}; give other settings of the same optimizer, or compile again"
            )
        self._optimizer = optimizer

    def get_params(self) -> Params:
        self._check_open()
        return {key: array.astype(self._host_dtypes[key]) for key, array in self._params.items()}

    def set_params(self, params: Params) -> None:
        self._check_open()
        check_params(self._program, {**self._params, **params})
        self._params |= {key: np.array(array, self._dtype) for key, array in params.items()}

    def save_state(self) -> Arrays:
        self._check_open()
        return Saved(self._params, self._grads, self._memory, self._pending, self._sequence).arrays()

    def load_state(self, arrays: Arrays) -> None:
        self._check_open()
        saved = read(_hosts("saved state", arrays), self._program, self._optimizer, self._dtype)
        self._params, self._pending, self._sequence = saved.params, saved.pending, saved.sequence
        self._grads, self._memory = saved.grads, saved.memory

    def close(self) -> None:
        self._closed = True

    def __enter__(self) -> ReferenceExecutable:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise InputError("this executable is closed; compile the program again")

    def _training(self) -> Train:
        self._check_open()
        if not isinstance(self._job, Train):
            raise InputError("this program was compiled to run only; compile it with a loss and an optimizer")
        return self._job


def _hosts(what: str, arrays: Arrays) -> dict[str, Array]:
    return {name: _host(what, name, array) for name, array in arrays.items()}


def _host(what: str, name: str, array: Any) -> Array:
    """Any array in main memory as NumPy's, without a copy where that can be."""
    if isinstance(array, (np.ndarray, np.generic)):
        return np.asarray(array)
    try:
        return np.from_dlpack(array)
    except (AttributeError, BufferError, RuntimeError, TypeError) as error:
        raise InputError(
            f"{what} '{name}' is a {type(array).__name__}, which NumPy cannot read: {error}; "
            "give an array in main memory that no gradient is recorded for"
        ) from error
