"""A program, its parameters and its optimizer, behind the interface that every backend has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from snnhw.arrays import hosts
from snnhw.errors import Unsupported
from snnhw.ir import Clock, Input, Optimizer, Params, Program
from snnhw.ir.inputs import check_inputs
from snnhw.plugin import Arrays, Result, Run, StepResult, Train
from snnhw.reference import clip_by_norm, execute, gradients, update
from snnhw.session import Progress, Session
from snnhw.session.ranks import Share, nothing, reduced, share_of

__all__ = ["ReferenceExecutable"]

Array = npt.NDArray[Any]


class _Now(NamedTuple):
    """All that changes. It is replaced as a whole, so that whatever interrupts a call leaves what was before
    it, or what is after it."""

    params: dict[str, Array]
    progress: Progress
    state: Arrays | None = None  # after the last step


class ReferenceExecutable:
    """See `snnhw.plugin.Executable`. Takes any number of steps and any batch at every call."""

    def __init__(self, program: Program, params: Params, job: Run | Train, dtype: np.dtype[Any]) -> None:
        self._program = program
        self._job = job
        self._dtype = dtype
        # As they were given, unless what is computed in holds more.
        self._host_dtypes = {key: np.promote_types(np.asarray(x).dtype, dtype) for key, x in params.items()}
        self._session = Session(program, params, job, dtype)
        if (ranks := self._session.ranks).joint and ranks.size > 1 and program.statistics():
            reason = "each rank normalises by its own samples; leave joint=True of the ranks out"
            raise Unsupported("reference", [reason])
        own = {key: np.array(array, dtype) for key, array in params.items()}
        self._now = _Now(own, self._session.start)
        all_static = set(program.named(Input)) <= set(program.time.static_inputs)
        self._time_steps = job.time_steps if all_static else None  # None: the inputs say

    def run(self, inputs: Arrays, state: Arrays | None = None) -> Result:
        self._session.check_open()
        found = execute(
            self._program,
            self._now.params,
            hosts("input", inputs),
            time_steps=self._time_steps,
            state=None if state is None else hosts("state", state),
            record=self._job.record,
            dtype=self._dtype,
            clock=Clock(self._job.seed),
        )
        return Result(found.outputs, found.recordings, found.state)

    def step(self, inputs: Arrays, targets: Arrays, state: Arrays | None = None) -> StepResult:
        job, now, ranks = self._session.training(), self._now, self._session.ranks
        given, wanted = hosts("input", inputs), hosts("target", targets)
        sequence = self._session.sequence(now.progress, state)
        share = share_of(ranks, job, self._samples(given), wanted)
        if share.samples:
            before = None if state is None else hosts("state", state)
            found: Mapping[str, Arrays] = self._learnt(
                share, given, wanted, before, self._session.clock(sequence)
            )
        else:
            zeros = partial(np.zeros, dtype=self._dtype)
            found = nothing(self._program, now.params, job.time_steps, zeros)
        whole = reduced(ranks, found, share)
        after = _after(job, now, whole, sequence)
        result = StepResult(float(whole["loss"]["loss"]), found["outputs"], found["state"])
        self._now = after._replace(state=result.state)
        return result

    def _samples(self, given: Params) -> int:
        """How many there are; 0, of a rank that only takes part."""
        if not given and self._session.ranks.size > 1:
            return 0
        return check_inputs(self._program, {name: x.shape for name, x in given.items()}, self._time_steps)[1]

    def _learnt(
        self, share: Share, given: Params, wanted: Params, before: Params | None, clock: Clock
    ) -> dict[str, Arrays]:
        """What this rank's samples give: loss, outputs, state, gradients and statistics."""
        found = gradients(
            self._program,
            self._now.params,
            given,
            wanted,
            share.loss,
            time_steps=self._time_steps,
            state=before,
            dtype=self._dtype,
            clock=clock,
        )
        run = found.execution
        groups = {"outputs": run.outputs, "state": run.state, "statistics": run.statistics}
        return {**groups, "loss": {"loss": np.array(found.loss)}, "grads": found.params}

    @property
    def state(self) -> Arrays | None:
        """The one after the last step."""
        return self._now.state

    def set_optimizer(self, optimizer: Optimizer) -> None:
        self._session.check_optimizer(optimizer)
        now = self._now
        self._now = now._replace(progress=replace(now.progress, optimizer=optimizer))

    def get_params(self) -> Params:
        self._session.check_open()
        return {key: array.astype(self._host_dtypes[key]) for key, array in self._now.params.items()}

    def set_params(self, params: Params) -> None:
        now = self._now
        self._now = now._replace(params={**now.params, **self._session.taken(params, now.params)})

    def save_state(self) -> Arrays:
        self._session.check_open()
        return self._session.save(self._now.params, self._now.progress)

    def load_state(self, arrays: Arrays) -> None:
        self._now = _Now(*self._session.load(arrays), self._now.state)

    def close(self) -> None:
        self._session.close()

    def __enter__(self) -> ReferenceExecutable:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _after(job: Train, now: _Now, found: Mapping[str, Arrays], sequence: int) -> _Now:
    """After a step: with what it has measured, and updated when as many calls have come as the job says."""
    params, before = {**now.params, **found["statistics"]}, now.progress
    shares = {key: grad / job.accumulate for key, grad in found["grads"].items()}
    grads = {key: before.grads[key] + x if key in before.grads else x for key, x in shares.items()}
    if before.pending + 1 < job.accumulate:
        return _Now(params, before.waiting(sequence, grads))
    if job.clip_norm is not None:
        grads = clip_by_norm(grads, job.clip_norm)
    assert before.optimizer is not None
    params, memory = update(before.optimizer, params, grads, before.memory)
    return _Now(params, before.updated(sequence, memory))
