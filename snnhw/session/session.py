"""The rules of one compiled program, which an executable holds beside its arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from snnhw.arrays import hosts
from snnhw.errors import InputError
from snnhw.ir import Optimizer, Params, Program, check_params
from snnhw.ir.noise import LIMIT, Clock
from snnhw.ir.optimizers import no_optimizer
from snnhw.plugin import Arrays, Run, Train
from snnhw.session.origin import Origin
from snnhw.session.progress import GRADIENTS, Layout, Progress
from snnhw.session.ranks import ALONE
from snnhw.session.reading import about, parted, restored
from snnhw.session.writing import record
from snnhw.words import brief

__all__ = ["Session"]

Array = npt.NDArray[Any]


class Session:
    """Whether it is open, what it may be asked, what it saves and takes back; for the methods of
    `snnhw.plugin.Executable`. Nothing in it changes but whether it is open: how far training has come is a
    `Progress`, which the executable replaces as a whole.

    Attributes:
        start: the progress of a run that begins.
        ranks: the processes that train together.

    Args:
        params: as given to `snnhw.plugin.Backend.compile`.
        dtype: what the backend computes in.
        layout: how it keeps what an update needs.
    """

    def __init__(
        self,
        program: Program,
        params: Params,
        job: Run | Train,
        dtype: npt.DTypeLike,
        layout: Layout = GRADIENTS,
    ) -> None:
        self.program, self.job = program, job
        self.start = Progress(job.optimizer if isinstance(job, Train) else None)
        self.ranks = (job.ranks if isinstance(job, Train) else None) or ALONE
        self._shapes = {key: np.shape(array) for key, array in params.items()}
        self._dtype, self._layout = np.dtype(dtype), layout
        self._closed = False

    # -- what it may be asked -------------------------------------------------------------------------

    def check_open(self) -> None:
        """Raise `InputError` once it is closed."""
        if self._closed:
            raise InputError("this executable is closed; compile the program again")

    def close(self) -> None:
        self._closed = True

    @property
    def closed(self) -> bool:
        return self._closed

    def training(self) -> Train:
        """The job, of one that trains; `InputError` for any other."""
        self.check_open()
        if not isinstance(self.job, Train):
            raise InputError("this program was compiled to run only; compile it with a loss and an optimizer")
        return self.job

    def sequence(self, now: Progress, state: Arrays | None) -> int:
        """The number of the sequence that a step belongs to: a new one, if it starts from rest."""
        return (now.sequence + (state is None)) % LIMIT

    def clock(self, sequence: int) -> Clock:
        """When a step of a sequence of training begins, on this rank."""
        return Clock(self.job.seed, sequence, rank=self.ranks.rank)

    def check_optimizer(self, optimizer: Optimizer) -> None:
        """Raise `InputError` unless it is the one of the job with other settings."""
        present = self.training().optimizer
        if not isinstance(optimizer, Optimizer):
            raise no_optimizer(optimizer)
        if type(optimizer) is not type(present):
            raise InputError(
                f"this program was compiled with {type(present).__name__}, which cannot become "
                f"{type(optimizer).__name__}; give other settings of the same optimizer, or compile again"
            )

    def taken(self, params: Params, present: Mapping[str, Any]) -> dict[str, Array]:
        """Some parameters, checked beside those that stay, in the dtype that is computed in.

        Raises:
            ProgramError: they do not fit the program.
            InputError: a table of another length, or a number that the dtype cannot hold.
        """
        self.check_open()
        check_params(self.program, {**present, **params})
        return self._fitting(params)

    # -- saving ---------------------------------------------------------------------------------------

    @cached_property
    def origin(self) -> Origin:
        """Which run this is."""
        return Origin.of(self.program, self.job, self._layout)

    def save(self, params: Mapping[str, Array], now: Progress) -> dict[str, Array]:
        """A state, see `snnhw.session.writing`; every array a copy."""
        return record(self.origin, params, now)

    def load(self, arrays: Arrays) -> tuple[dict[str, Array], Progress]:
        """What a state holds: parameters, and how far the run had come, in arrays of one's own and in the
        dtype that is computed in. Where nothing is trained, parameters alone are taken.

        Raises:
            InputError: it is not of this run, or holds what no run can hold. What the backend has added,
                ``own``, is for itself to check.
            ProgramError: parameters that are missing or do not fit.
        """
        self.check_open()
        if not isinstance(arrays, Mapping):
            raise InputError(f"a saved state is a mapping of names to arrays, not {brief(arrays)}")
        parts = parted(hosts("saved state", arrays))
        if not isinstance(self.job, Train):
            self.origin.refuse({**vars(self.origin), "program": about(parts).get("program")})
            return self._params(parts["param"]), self.start
        trained = {key: self._shapes[key] for key in sorted(self.program.trainable)}
        found = restored(parts, self.origin, trained, self.job.optimizer, self._layout)
        return self._params(parts["param"]), self._own_arrays(found, self.job.optimizer)

    def _params(self, params: dict[str, Array]) -> dict[str, Array]:
        check_params(self.program, params, allow_nonfinite=True)  # a run that diverged, too
        return self._fitting(params)

    def _fitting(self, params: Mapping[str, Array]) -> dict[str, Array]:
        for key, array in params.items():
            if np.shape(array) != self._shapes[key]:  # a table, which may be of any length at first
                raise InputError(
                    f"parameter '{key}' has shape {list(np.shape(array))}; accepted by what was compiled: "
                    f"{list(self._shapes[key])}"
                )
        return {
            key: _cast(f"parameter '{key}'", np.asarray(array), self._dtype) for key, array in params.items()
        }

    def _own_arrays(self, found: Progress, optimizer: Optimizer) -> Progress:
        """Copies; counts stay what they are."""
        counts = {slot.name for slot in self._layout.slots_of(optimizer) if slot.kind == "count"}
        dtype = np.dtype(self._layout.memory or self._dtype)
        memory = {
            name: _native(x) if name.rpartition("/")[2] in counts else _cast(f"'optimizer/{name}'", x, dtype)
            for name, x in found.memory.items()
        }
        grads = {key: _cast(f"'grad/{key}'", x, self._dtype) for key, x in found.grads.items()}
        own = {name: _native(x) for name, x in found.own.items()}
        return replace(found, grads=grads, memory=memory, own=own)


def _native(array: Array) -> Array:
    """A copy, with its bytes in this machine's order."""
    return np.array(array, array.dtype.newbyteorder("="))


def _cast(what: str, array: Array, dtype: np.dtype[Any]) -> Array:
    with np.errstate(over="ignore"):
        cast = np.array(array, dtype)
    if np.any(np.isinf(cast) & np.isfinite(array)):
        most = np.finfo(dtype).max
        raise InputError(f"{what} holds numbers beyond the largest that {dtype} can, {most:.3g}")
    return cast
