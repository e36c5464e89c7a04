"""A compiled program behind a `Link`: arrays to the device and back, parameters, saving.

The device is asked questions, and goes on with the one it is at whatever happens here. So that both sides
agree on how far training has come, a question that changes something carries a ticket: what it makes of this
side is noted first, and when its answer was not seen, the next call asks whether it was done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from snnhw.errors import DeviceError
from snnhw.ir import Clock, Optimizer, Params, Program
from snnhw.plugin import Arrays, Result, Run, StepResult, Train
from snnhw.session import Progress, Session
from snnhw_ipu.boundary import Boundary
from snnhw_ipu.forms import Forms, Use, chunks_of, forms_of
from snnhw_ipu.kept import LAYOUT, checked, own, remembered, to_device
from snnhw_ipu.link import Link
from snnhw_ipu.optimizers import check_compiled, settings
from snnhw_ipu.options import IpuOptions
from snnhw_ipu.plans import RESTING, Lowered
from snnhw_ipu.turns import Answer

__all__ = ["IpuExecutable"]

Array = npt.NDArray[Any]


class _Now(NamedTuple):
    """What this side knows of training. It is replaced as a whole.

    Attributes:
        waiting: the arguments of the pending calls, which the device sees with the last one.
        continued: whether training has been given states.
    """

    progress: Progress
    waiting: tuple[dict[str, Array], ...] = ()
    continued: bool = False


class _Matter(NamedTuple):
    """A question that changes something, and what is so once it is done."""

    ticket: int
    after: _Now


class _Synced(NamedTuple):
    """What was known when the device was last asked: all that is left of it when the worker is lost."""

    params: dict[str, Array]
    memory: dict[str, Array]
    now: _Now


class IpuExecutable:
    """See `snnhw.plugin.Executable`. Batch and number of steps are those it was compiled for."""

    def __init__(
        self, program: Program, params: Params, job: Run | Train, options: IpuOptions, link: Link
    ) -> None:
        self._program, self._job, self._options, self._link = program, job, options, link
        self._host = {key: np.asarray(array).dtype for key, array in params.items()}
        self._forms: Forms = forms_of(program, job, options)
        self._chunked = chunks_of(job, options) > 1  # then states are always handed over
        self._boundary = Boundary(program, job, options)
        self._session = Session(program, params, job, options.dtype, LAYOUT)
        self._now = _Now(self._session.start)
        self._synced = _Synced({key: np.array(array) for key, array in params.items()}, {}, self._now)
        self._tickets = count(1)
        self._matter: _Matter | None = None
        self._lost: DeviceError | None = None
        constants = {
            key: array for lowered in self._forms.values() for key, array in lowered.constants.items()
        }
        self._ask("open", self._opening(), {**self._synced.params, **constants})

    def _opening(self) -> dict[str, Any]:
        job, options = self._job, self._options
        chosen = options.for_worker()
        found: dict[str, Any] = {
            "emulate": options.emulate,
            "dtype": options.dtype,
            "trainable": self._moved() if isinstance(job, Train) else [],
            "optimizer": None,
            "forms": {},
            "options": chosen,
        }
        for (use, form), lowered in self._forms.items():
            found["forms"].setdefault(use, {})[form] = lowered.recipe
        if isinstance(job, Train):
            chosen["gradient_accumulation"] *= 1 if self._chunked else job.accumulate
            kind = type(job.optimizer).__name__
            found["optimizer"] = {"kind": kind, "settings": settings(job.optimizer, job.clip_norm)}
        return found

    def _moved(self) -> list[str]:
        """What PopTorch trains: parameters, or what stands for their gradients."""
        return sorted(self._form("train", continued=True).trained or self._program.trainable)

    # -- running ------------------------------------------------------------------------------------

    def run(self, inputs: Arrays, state: Arrays | None = None) -> Result:
        self._ready()
        continued = self._chunked or state is not None
        arguments = self._boundary.arguments(inputs, None, state, resting=continued, pad=self._options.pad)
        lowered = self._form("run", continued=continued)
        now = self._boundary.now(None, state)
        arguments |= self._boundary.noise(lowered, now, len(next(iter(arguments.values()))))
        pieces = self._boundary.pieces(arguments) if self._options.pad else [(arguments, self._job.batch)]
        found = []
        for piece, size in pieces:
            results = self._call("run", lowered, piece, continued)
            found.append(self._boundary.result(lowered, results, size, now, recorded=True))
        return self._boundary.joined(found)

    def step(self, inputs: Arrays, targets: Arrays, state: Arrays | None = None) -> StepResult:
        self._ready()
        job, before = self._session.training(), self._now
        continued = self._chunked or before.continued or state is not None
        sequence = self._session.sequence(before.progress, state)
        clock = Clock(job.seed, sequence)
        arguments = self._boundary.arguments(inputs, targets, state, clock=clock, resting=continued)
        now = self._boundary.now(clock, state)
        lowered = self._form("train", continued=continued)
        arguments |= self._boundary.noise(lowered, now, job.batch)
        whole = [*before.waiting, arguments]
        if len(whole) < job.accumulate:
            found = self._evaluate(arguments, now, continued)
            self._now = _Now(before.progress.waiting(sequence, {}), tuple(whole), continued)
            return found
        if continued:
            whole = [self._boundary.from_rest(each) for each in whole]
        together = {name: np.concatenate([each[name] for each in whole]) for name in arguments}
        after = _Now(before.progress.updated(sequence, {}), (), continued)
        given = {name: together[name] for name in lowered.arguments()}
        results = self._change("step", {"form": _form(continued)}, given, after)
        if self._options.sync_every and after.progress.updates % self._options.sync_every == 0:
            self._sync()
        return self._stepped(lowered, results, now, share=len(whole))

    def _evaluate(self, arguments: dict[str, Array], now: Clock, continued: bool) -> StepResult:
        """A call that only adds to an update to come: its loss and outputs, as the update will see them."""
        lowered = self._form("evaluate", continued=continued)
        results = self._call("evaluate", lowered, arguments, continued)
        return self._stepped(lowered, results, now, share=1)

    def _stepped(self, lowered: Lowered, results: dict[str, Array], now: Clock, share: int) -> StepResult:
        """The last of ``share`` batches that the device was given at once."""
        losses = results.pop(str(len(results) - 1)).reshape(-1)
        loss = float(np.mean(losses[-(losses.size // share) :], dtype=np.float64))
        if not lowered.ports:
            return StepResult(loss, {}, {})
        last = {name: array[-self._job.batch :] for name, array in results.items()}
        found = self._boundary.result(lowered, last, self._job.batch, now)
        return StepResult(loss, found.outputs, found.state)

    def _form(self, use: Use, *, continued: bool) -> Lowered:
        return self._forms[use, "continued" if continued else "rest"]

    def _call(
        self, use: str, lowered: Lowered, arguments: dict[str, Array], continued: bool
    ) -> dict[str, Array]:
        form = {"form": _form(continued)}
        return self._ask(use, form, {name: arguments[name] for name in lowered.arguments()})

    # -- parameters ---------------------------------------------------------------------------------

    def set_optimizer(self, optimizer: Optimizer) -> None:
        self._ready()
        self._session.check_optimizer(optimizer)
        job, progress = self._session.training(), self._now.progress
        check_compiled(optimizer, job.optimizer)
        after = self._now._replace(progress=replace(progress, optimizer=optimizer))
        self._change("optimizer", {"settings": settings(optimizer, job.clip_norm)}, {}, after)

    def get_params(self) -> Params:
        """The present parameters; those of the last sync when the worker was lost."""
        self._sync_if_alive()
        return {key: np.array(array) for key, array in self._synced.params.items()}

    def set_params(self, params: Params) -> None:
        self._ready()
        given = self._session.taken(params, self._synced.params)
        self._sync()  # in case the device fails in the middle
        self._change("set_params", {}, given, self._now)
        self._sync()

    def save_state(self) -> Arrays:
        """Parameters, optimizer and what waits for an update; of the last sync when the worker was lost."""
        self._sync_if_alive()
        params, memory, now = self._synced
        kept = now.progress
        if kept.optimizer is not None:
            kept = replace(
                kept, memory=remembered(memory, kept, self._trained()), own=own(memory, kept, now.waiting)
            )
        return self._session.save(params, kept)

    def load_state(self, arrays: Arrays) -> None:
        self._ready()
        params, found = self._session.load(arrays)
        flat, header = {f"param/{key}": array for key, array in params.items()}, {}
        waiting: tuple[dict[str, Array], ...] = ()
        if isinstance(self._job, Train):
            assert found.optimizer is not None
            check_compiled(found.optimizer, self._job.optimizer)
            header = {"settings": settings(found.optimizer, self._job.clip_norm)}
            waiting = self._waiting(found)
        continued = self._now.continued or any(RESTING in each for each in waiting)
        progress = replace(found, memory={}, own={})
        self._sync()  # likewise
        if found.optimizer is not None:
            flat |= to_device(found, self._synced.memory, self._trained())
        self._change("restore", header, flat, _Now(progress, waiting, continued))
        self._sync()

    def _trained(self) -> dict[str, tuple[int, ...]]:
        """The shapes of what is trained."""
        return {key: self._synced.params[key].shape for key in sorted(self._program.trainable)}

    def _waiting(self, found: Progress) -> tuple[dict[str, Array], ...]:
        """The arguments of a state's pending calls, held to those of this program."""
        examples = []
        for continued in (False, True):
            example = self._boundary.example(resting=continued)
            lowered = self._form("train", continued=continued)
            example |= self._boundary.noise(lowered, Clock(self._job.seed), self._job.batch)
            examples.append(example)
        return checked(found, examples, self._boundary.classes())

    def _sync(self) -> None:
        """Bring weights and optimizer to the host."""
        now = self._now
        params = self._ask("params", {}, {})
        memory = self._ask("state", {}, {}) if isinstance(self._job, Train) else {}
        exact = {key: array.astype(self._host[key]) for key, array in params.items()}
        self._synced = _Synced(exact, memory, now)

    def _sync_if_alive(self) -> None:
        if self._lost is None:
            self._ready()
            self._sync()

    # -- the link -----------------------------------------------------------------------------------

    def _ready(self) -> None:
        """Raise unless it is open and there; find out how far training has come, if that was interrupted."""
        if self._lost is not None:
            raise self._lost
        self._session.check_open()
        if self._matter is None:
            return
        done = self._link_ask("done", {}, {})[0]
        if done["torn"]:
            self._lost = self._obituary(f"the IPU failed {done['torn']} of its program")
            raise self._lost
        if done["ticket"] == self._matter.ticket:
            self._now = self._matter.after
        self._matter = None

    def _change(
        self, question: str, header: Mapping[str, Any], arrays: Mapping[str, Array], after: _Now
    ) -> dict[str, Array]:
        """Ask something that changes the device, and what is known here with it."""
        matter = _Matter(next(self._tickets), after)
        self._matter = matter
        results = self._ask(question, {**header, "ticket": matter.ticket}, arrays)
        self._now = after
        self._matter = None
        return results

    def _ask(self, question: str, header: Mapping[str, Any], arrays: Mapping[str, Array]) -> dict[str, Array]:
        return self._link_ask(question, header, arrays)[1]

    def _link_ask(self, question: str, header: Mapping[str, Any], arrays: Mapping[str, Array]) -> Answer:
        try:
            return self._link.ask(question, header, arrays)
        except DeviceError as error:
            if getattr(getattr(self._link, "worker", None), "alive", True):
                raise
            self._lost = self._obituary(str(error))
            raise self._lost from error

    def _obituary(self, what: str) -> DeviceError:
        updates = self._synced.now.progress.updates
        at = f"of update {updates}" if updates else "it started with"
        return DeviceError(
            f"{what}\nIts program is gone. The parameters {at} are kept: get_params() and save_state() give "
            "them."
        )

    def close(self) -> None:
        if not self._session.closed:
            self._session.close()
            self._link.close()

    def __enter__(self) -> IpuExecutable:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _form(continued: bool) -> str:
    return "continued" if continued else "rest"
