"""The backend under test, and how it is asked to do a case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from snnhw import registry
from snnhw.api import make_job
from snnhw.conformance.case import Case
from snnhw.ir import Params
from snnhw.plugin import Backend, Capabilities, Executable, Run, Train, label_of

__all__ = ["Bench"]


@dataclass(frozen=True)
class Bench:
    """A backend with the options that it is tested under."""

    plugin: Backend
    options: Mapping[str, object] = field(default_factory=dict)

    @property
    def capabilities(self) -> Capabilities:
        return self.plugin.capabilities()

    @property
    def label(self) -> str:
        """What marks its results under these options; "" for the real thing."""
        return label_of(self.plugin, registry.build_options(self.plugin, self.options))

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
        )

    def compile(self, case: Case) -> Executable:
        """The case's program, ready to run. Whether it is supported has been asked before."""
        return self.plugin.compile(case.program, copied(case.params), self.job(case))


def copied(params: Params) -> Params:
    """Arrays of the backend's own: what it does to them concerns nobody else."""
    return {key: np.array(array) for key, array in params.items()}
