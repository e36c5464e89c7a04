"""Which run a saved state is of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from snnhw.errors import InputError
from snnhw.ir import Program, identity
from snnhw.plugin import Run, Train
from snnhw.session.progress import Layout
from snnhw.words import brief

__all__ = ["ADVICE", "Origin"]

ADVICE: Final = (
    "load it where the same parameters are trained by the same optimizer, or take the parameters alone with "
    "set_params"
)


@dataclass(frozen=True)
class Origin:
    """Which run a state is of. Everything in it decides what the next step computes.

    Attributes:
        program: digest of structure, equations and constants, as they were written; trained: of the keys that
            are.
        loss: digest; optimizer: its form; accumulate, clip_norm: the job's.
        seed: where something depends on chance or on time; None elsewhere.
        layout: how the state is kept.
    """

    program: str
    layout: str = ""
    optimizer: str = ""
    accumulate: int = 1
    clip_norm: float | None = None
    loss: str = ""
    trained: str = ""
    seed: int | None = None

    @staticmethod
    def of(program: Program, job: Run | Train, layout: Layout) -> Origin:
        body = identity(replace(program.written, trainable=frozenset()))
        if not isinstance(job, Train):
            return Origin(body)
        return Origin(
            body,
            layout.name,
            job.optimizer.form,
            job.accumulate,
            job.clip_norm,
            identity(job.loss),
            identity(program.trainable),
            job.seed if program.clocked else None,
        )

    def refuse(self, found: Mapping[str, Any]) -> None:
        """Raise `InputError` for the first thing that is another one in the run of a state."""
        for item in fields(self):
            theirs, ours = found.get(item.name), getattr(self, item.name)
            if theirs != ours:
                told = DIFFERS[item.name].format(theirs=brief(theirs), ours=brief(ours))
                raise InputError(f"this state is of another run: {told}; {ADVICE}")


DIFFERS: Final[Mapping[str, str]] = {
    "program": "its program is another one, in structure, equations or constants",
    "layout": "what it remembers is kept as {theirs}, and here as {ours}, so the backend was another one",
    "optimizer": "its optimizer is {theirs}, and here it is {ours}",
    "accumulate": "accumulate is {theirs} there, and {ours} here",
    "clip_norm": "clip_norm is {theirs} there, and {ours} here",
    "loss": "its loss is another one",
    "trained": "other parameters of the program are trained there",
    "seed": "seed is {theirs} there, and {ours} here",
}
"""Attribute of `Origin` -> what is told where it differs."""
