"""The backend under test, and how it is asked to do a case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from snnhw import registry
from snnhw.check import prepared
from snnhw.conformance.case import Case, turn_of
from snnhw.errors import InputError
from snnhw.ir import Params
from snnhw.lowering import make_job
from snnhw.parity.arrays import Array, Arrays, host, hosts
from snnhw.parity.result import Disagreement
from snnhw.plugin import Backend, Capabilities, Executable, Ranks, Result, Run, Train, label_of

__all__ = [
    "SHIFT",
    "Bench",
    "Stepped",
    "copied",
    "dtype_of",
    "run_of",
    "shifts_of",
    "slopes_of",
    "stepped_by",
    "trained_by",
]

SHIFT: Final = "shift"
"""Name of a parameter that is added to an input, to see its adjoint."""


@dataclass(frozen=True)
class Bench:
    """A backend with the options that it is tested under, and who trains together."""

    plugin: Backend
    options: Mapping[str, object] = field(default_factory=dict)
    ranks: Ranks | None = None

    @property
    def capabilities(self) -> Capabilities:
        return self.plugin.capabilities()

    @property
    def label(self) -> str:
        """What marks its results under these options; "" for the real thing."""
        return label_of(self.plugin, registry.build_options(self.plugin, self.options))

    @property
    def forced(self) -> dict[str, Bench]:
        """``name:way`` -> the backend with that way of a decision of its own forced, for all of them that the
        options leave to it. One that is refused beside other options, and not alone, they do not leave."""
        given = str(self.options.get("paths", ""))
        named = {part.partition(":")[0] for part in given.split(",")}
        asked = [
            f"{name}:{way}"
            for name, ways in self.capabilities.paths.items()
            for way in ways
            if name not in named
        ]
        found = {path: {**self.options, "paths": f"{given},{path}" if given else path} for path in asked}
        return {
            path: replace(self, options=options)
            for path, options in found.items()
            if self._takes(options) or not self._takes({"paths": path})
        }

    def _takes(self, options: Mapping[str, object]) -> bool:
        try:
            registry.build_options(self.plugin, options)
        except InputError:
            return False
        return True

    def job(self, case: Case) -> Run | Train:
        """What a case asks for."""
        return make_job(
            self.plugin,
            case.program,
            time_steps=case.time_steps,
            batch=case.batch,
            loss=case.loss,
            optimizer=case.optimizer,
            record=case.record,
            options=self.options,
            clip_norm=case.clip_norm,
            accumulate=case.accumulate,
            ranks=self.ranks,
        )

    def compile(self, case: Case) -> Executable:
        """The case's program, ready to run. Whether it is supported has been asked before."""
        given = prepared(case.program, self.capabilities)
        return self.plugin.compile(given, copied(case.params), self.job(case))


@dataclass(frozen=True, eq=False)
class Stepped:
    """One step of training.

    Attributes:
        outputs, state, loss: what it gave.
        params: after it.
        slopes: the gradient of every parameter that is trained.
        statistics: those of the parameters that training measures.
    """

    outputs: Arrays
    state: Arrays
    loss: float
    params: Params
    slopes: Arrays
    statistics: Params


def copied(params: Params) -> Params:
    """Arrays of the backend's own: what it does to them concerns nobody else."""
    return {key: np.array(array) for key, array in params.items()}


def run_of(bench: Bench, case: Case) -> Result:
    """One run, in a dtype that the backend declares."""
    with bench.compile(case) as executable:
        found = executable.run(case.inputs, case.state)
    result = Result(hosts(found.outputs), hosts(found.recordings), hosts(found.state))
    declared = ("int64",) if case.program.formats else bench.capabilities.dtypes
    for name, array in {**result.outputs, **result.recordings, **result.state}.items():
        if array.dtype.name not in declared:
            raise Disagreement(f"'{name}' is returned as {array.dtype.name}; declared: {', '.join(declared)}")
    return result


def trained_by(bench: Bench, case: Case, steps: int) -> tuple[list[float], Params]:
    """The loss of every step of training, and the parameters after the last."""
    with bench.compile(case) as executable:
        losses = [float(executable.step(*turn_of(case, step), case.state).loss) for step in range(steps)]
        return losses, executable.get_params()


def stepped_by(bench: Bench, case: Case) -> Stepped:
    """One step of training, on all samples."""
    with bench.compile(case) as executable:
        found = executable.step(case.inputs, case.targets, case.state)
        after = executable.get_params()
        outputs, state = hosts(found.outputs), hosts(found.state)
    measured = {key: np.asarray(after[key]) for key in case.program.statistics() if key in after}
    return Stepped(outputs, state, found.loss, after, slopes_of(case, after), measured)


def shifts_of(params: Params) -> Params:
    """Those of the parameters that show an adjoint in every bit, see `snnhw.conformance.cases.adjoints`."""
    return {key: array for key, array in params.items() if key.endswith(f".{SHIFT}")}


def slopes_of(case: Case, after: Params) -> dict[str, Array]:
    """Gradients, as one step of plain SGD shows them in the parameters."""
    assert case.optimizer is not None
    keys = [key for key in case.params if key in case.program.trainable and key in after]
    before = {key: np.asarray(case.params[key], np.float64) for key in keys}
    return {key: (before[key] - np.asarray(after[key], np.float64)) / case.optimizer.lr for key in keys}


def dtype_of(found: Arrays) -> np.dtype[np.generic]:
    """What a backend computed in, by the first of what it returned."""
    return host(next(iter(found.values()))).dtype
