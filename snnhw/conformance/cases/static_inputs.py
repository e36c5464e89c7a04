"""Inputs that do not change over time, into every op: what is computed once counts at every step.

An op on such an input gives the same at every step, so that a backend need compute it once, and its gradient
is a sum over steps. Some ops do not: what is left out differs from step to step, statistics move at each of
them, and parameters may be those of a step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Final

from snnhw.conformance.case import Case, LazyCase
from snnhw.conformance.cases.making.examples import INEXACT, subjects
from snnhw.conformance.cases.making.harness import Subject, alone, observed, probed, stepped
from snnhw.conformance.cases.making.numbers import Randoms
from snnhw.conformance.cases.making.search import certain, chosen
from snnhw.ir import Dropout, Program

__all__ = ["cases"]

STEPS: Final = 5
BATCH: Final = 3


def cases() -> Iterator[LazyCase]:
    """The gradient for every op; a run where it is another function than training."""
    for subject in subjects():
        yield chosen(
            f"gradient/static-{subject.name}", partial(_step, f"gradient/static-{subject.name}", subject)
        )
        if type(subject.op) in INEXACT or isinstance(subject.op, Dropout):
            case_id = f"margin/static-{subject.name}"
            yield chosen(case_id, partial(_run, case_id, subject), certain)


def _run(case_id: str, subject: Subject, numbers: Randoms) -> Case:
    program = _static(alone(subject), subject)
    return observed(case_id, program, numbers, time_steps=STEPS, batch=BATCH)


def _step(case_id: str, subject: Subject, numbers: Randoms) -> Case:
    """Behind gains, so that the gradient of the input is seen; before a seed that differs at every step."""
    program = _static(probed(subject), subject)
    return stepped(observed(case_id, program, numbers, time_steps=STEPS, batch=BATCH), lr=1.0)


def _static(program: Program, subject: Subject) -> Program:
    return replace(program, time=replace(program.time, static_inputs=tuple(subject.shapes)))
