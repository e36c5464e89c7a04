"""A compiled program behind a `Link`: arrays to the device and back, parameters, saving."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from snnhw.errors import DeviceError, InputError
from snnhw.ir import Clock, Optimizer, Params, Program, check_params
from snnhw.ir.noise import LIMIT
from snnhw.plugin import Arrays, Result, Run, StepResult, Train
from snnhw_ipu.boundary import Boundary, hosts
from snnhw_ipu.forms import Forms, Use, forms_of
from snnhw_ipu.link import Link
from snnhw_ipu.lower import Lowered
from snnhw_ipu.optimizers import COMPILED, settings
from snnhw_ipu.options import IpuOptions

__all__ = ["IpuExecutable"]

Array = npt.NDArray[Any]


@dataclass
class Synced:
    """What the host knew when it last asked.

    Attributes:
        updates: how many there had been; sequence: how many sequences had been trained.
    """

    params: dict[str, Array]
    optimizer: dict[str, Array] = field(default_factory=dict)
    updates: int = 0
    sequence: int = 0


class IpuExecutable:
    """See `snnhw.plugin.Executable`. Batch and number of steps are those it was compiled for."""

    def __init__(
        self, program: Program, params: Params, job: Run | Train, options: IpuOptions, link: Link
    ) -> None:
        self._program, self._job, self._options, self._link = program, job, options, link
        self._host = {key: np.asarray(array).dtype for key, array in params.items()}
        self._forms: Forms = forms_of(program, job, options)
        self._boundary = Boundary(program, job, options)
        self._optimizer = job.optimizer if isinstance(job, Train) else None
        self._synced = Synced({key: np.array(array) for key, array in params.items()})
        self._updates = 0
        self._sequence = 0  # sequences trained so far
        self._continued = False  # whether training has been given states
        self._pending: list[dict[str, Array]] = []
        self._lost: DeviceError | None = None
        self._closed = False
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
            "trainable": sorted(self._program.trainable) if isinstance(job, Train) else [],
            "optimizer": None,
            "forms": {},
            "options": chosen,
        }
        for (use, form), lowered in self._forms.items():
            found["forms"].setdefault(use, {})[form] = lowered.recipe
        if isinstance(job, Train):
            chosen["gradient_accumulation"] *= job.accumulate
            kind = type(job.optimizer).__name__
            found["optimizer"] = {"kind": kind, "settings": settings(job.optimizer, job.clip_norm)}
        return found

    # -- running ------------------------------------------------------------------------------------

    def run(self, inputs: Arrays, state: Arrays | None = None) -> Result:
        self._check_open()
        arguments = self._boundary.arguments(inputs, None, state, pad=self._options.pad)
        lowered = self._form("run", continued=state is not None)
        now = self._boundary.now(None, state)
        arguments |= self._boundary.noise(lowered, now, len(next(iter(arguments.values()))))
        pieces = self._boundary.pieces(arguments) if self._options.pad else [(arguments, self._job.batch)]
        found = []
        for piece, size in pieces:
            results = self._call("run", lowered, piece, state is not None)
            found.append(self._boundary.result(lowered, results, size, now, recorded=True))
        return self._boundary.joined(found)

    def step(self, inputs: Arrays, targets: Arrays, state: Arrays | None = None) -> StepResult:
        job = self._training()
        self._continued = self._continued or state is not None
        sequence = (self._sequence + (state is None)) % LIMIT
        clock = Clock(job.seed, sequence)
        arguments = self._boundary.arguments(inputs, targets, state, clock=clock, resting=self._continued)
        self._sequence = sequence
        now = self._boundary.now(clock, state)
        arguments |= self._boundary.noise(self._form("train", continued=self._continued), now, job.batch)
        if len(self._pending) + 1 < job.accumulate:
            found = self._evaluate(arguments, now)
            self._pending.append(arguments)
            return found
        whole = [*self._pending, arguments]
        if self._continued:
            whole = [self._boundary.from_rest(each) for each in whole]
        together = {name: np.concatenate([each[name] for each in whole]) for name in arguments}
        lowered = self._form("train", continued=self._continued)
        waiting, self._pending = self._pending, []  # once asked for, Ctrl-C or not, they are trained on
        try:
            results = self._call("step", lowered, together, self._continued)
        except DeviceError:
            self._pending = waiting
            raise
        self._updates += 1
        if self._options.sync_every and self._updates % self._options.sync_every == 0:
            self._sync()
        return self._stepped(lowered, results, now, share=len(whole))

    def _evaluate(self, arguments: dict[str, Array], now: Clock) -> StepResult:
        """A call that only adds to an update to come: its loss and outputs, as the update will see them."""
        lowered = self._form("evaluate", continued=self._continued)
        results = self._call("evaluate", lowered, arguments, self._continued)
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
        recipe = lowered.recipe
        names = [*recipe["inputs"], *recipe["targets"], *recipe["states"]]
        form = {"form": "continued" if continued else "rest"}
        return self._ask(use, form, {name: arguments[name] for name in names})

    # -- parameters ---------------------------------------------------------------------------------

    def set_optimizer(self, optimizer: Optimizer) -> None:
        job = self._training()
        if type(optimizer) is not type(self._optimizer):
            raise InputError(
                f"this program was compiled with {type(self._optimizer).__name__}, which cannot become "
                f"{type(optimizer).__name__}; give other settings of the same optimizer, or compile again"
            )
        assert self._optimizer is not None
        wanted = settings(optimizer, job.clip_norm)
        fixed = [name for name in COMPILED if wanted.get(name) != getattr(self._optimizer, name, None)]
        if fixed:
            raise InputError(
                f"{type(optimizer).__name__}({fixed[0]}={wanted[fixed[0]]!r}): on an IPU this is compiled "
                "into the program and cannot change afterwards; compile again"
            )
        self._ask("optimizer", {"settings": wanted}, {})
        self._optimizer = optimizer

    def get_params(self) -> Params:
        """The present parameters; those of the last sync when the worker was lost."""
        if self._lost is None:
            self._check_open()
            self._sync()
        return {key: np.array(array) for key, array in self._synced.params.items()}

    def set_params(self, params: Params) -> None:
        self._check_open()
        check_params(self._program, {**self._synced.params, **params})
        given = {key: np.asarray(array) for key, array in params.items()}
        self._ask("set_params", {}, given)
        self._sync()

    def save_state(self) -> Arrays:
        """Parameters, optimizer and what waits for an update; of the last sync when the worker was lost."""
        if self._lost is None:
            self._check_open()
            self._sync()
        flat = {f"param/{key}": np.array(array) for key, array in self._synced.params.items()}
        flat |= {f"optimizer/{key}": np.array(array) for key, array in self._synced.optimizer.items()}
        if self._optimizer is not None:
            flat["sequence"] = np.array(self._synced.sequence)
        for number, arguments in enumerate(self._pending if self._lost is None else []):
            flat |= {f"pending/{number}/{name}": np.array(array) for name, array in arguments.items()}
        return flat

    def load_state(self, arrays: Arrays) -> None:
        self._check_open()
        parts: dict[str, dict[str, Array]] = {"param": {}, "optimizer": {}, "pending": {}, "sequence": {}}
        for name, array in hosts("saved state", arrays).items():
            part, _, rest = name.partition("/")
            if part not in parts:
                raise InputError(f"'{name}' is no part of a saved state; names begin with {', '.join(parts)}")
            parts[part][rest] = array
        check_params(self._program, parts["param"], allow_nonfinite=True)
        if self._optimizer is not None:
            self._ask("load_state", {}, parts["optimizer"])
        self._ask("set_params", {}, parts["param"])
        if self._optimizer is not None:
            self._pending = _waiting(parts["pending"])
            self._sequence = int(parts["sequence"].get("", np.array(0)))
        self._sync()

    def _sync(self) -> None:
        """Bring weights and optimizer to the host."""
        params = self._ask("params", {}, {})
        remembered = self._ask("state", {}, {}) if self._optimizer is not None else {}
        exact = {key: array.astype(self._host[key]) for key, array in params.items()}
        self._synced = Synced(exact, remembered, self._updates, self._sequence)

    # -- the link -----------------------------------------------------------------------------------

    def _ask(self, question: str, header: Mapping[str, Any], arrays: Mapping[str, Array]) -> dict[str, Array]:
        try:
            return self._link.ask(question, header, arrays)[1]
        except DeviceError as error:
            if getattr(getattr(self._link, "worker", None), "alive", True):
                raise
            at = f"of update {self._synced.updates}" if self._synced.updates else "it started with"
            self._lost = DeviceError(
                f"{error}\nIts program is gone. The parameters {at} are kept: get_params() and save_state() "
                "give them."
            )
            raise self._lost from error

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._link.close()

    def __enter__(self) -> IpuExecutable:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._lost is not None:
            raise self._lost
        if self._closed:
            raise InputError("this executable is closed; compile the program again")

    def _training(self) -> Train:
        self._check_open()
        if not isinstance(self._job, Train):
            raise InputError("this program was compiled to run only; compile it with a loss and an optimizer")
        return self._job


def _waiting(arrays: Mapping[str, Array]) -> list[dict[str, Array]]:
    found: dict[int, dict[str, Array]] = {}
    for name, array in arrays.items():
        number, _, argument = name.partition("/")
        found.setdefault(int(number), {})[argument] = array
    return [found[number] for number in sorted(found)]
