"""Class exact: proven independent of order and contraction, so that every bit must be right.

Each op and each neuron, forward from a state that is not rest, and through one training step with
straight-through gradients. What cannot be exact, such as an exponential, is left to other classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from snnhw.conformance.case import Case, LazyCase
from snnhw.conformance.cases.making.examples import INEXACT, subjects
from snnhw.conformance.cases.making.harness import NODE, Subject, alone, observed, probed, stepped, with_state
from snnhw.conformance.cases.making.neurons import EXACT_LEVELS, Setting, backwards, settings
from snnhw.conformance.cases.making.numbers import Dyadics
from snnhw.conformance.cases.making.search import provable
from snnhw.parity.rounding.forward import forward_primitives

__all__ = ["ROUNDING", "cases"]

ROUNDING: Final = frozenset({"div", "floordiv", "exp", "log", "sqrt", "sigmoid", "tanh", "atan"})
"""Primitives that round, whatever the numbers; a division by some powers of two does not, but which
numbers divide is for a case of its own to choose."""

BATCH: Final = 2
SHAPE: Final = (5,)


def cases() -> Iterator[LazyCase]:
    """All of the class that come from registries."""
    for subject in subjects():
        if type(subject.op) in INEXACT:
            continue
        yield _forward(subject)
        yield _step(subject)
    for setting in settings():
        op = setting.neuron(SHAPE)
        if forward_primitives(op.equations()) & ROUNDING:
            continue
        subject = Subject(setting.name, op, dict.fromkeys(setting.model.ports, SHAPE))
        yield _forward(subject, setting)
        if backwards(setting):
            yield _step(subject, setting)


def _forward(subject: Subject, setting: Setting | None = None) -> LazyCase:
    """The op alone, from a state that is not rest."""
    case_id, program = f"exact/{subject.name}", alone(subject)

    def build(steps: int, numbers: Dyadics) -> Case:
        given = setting.values(NODE, SHAPE, numbers, EXACT_LEVELS) if setting else {}
        case = observed(case_id, program, numbers, given=given, time_steps=steps, batch=BATCH)
        return with_state(case, numbers)

    return provable(case_id, build)


def _step(subject: Subject, setting: Setting | None = None) -> LazyCase:
    """The op in one step of training."""
    case_id, program = f"exact/{subject.name}/step", probed(subject)

    def build(steps: int, numbers: Dyadics) -> Case:
        given = setting.values(NODE, SHAPE, numbers, EXACT_LEVELS) if setting else {}
        case = observed(case_id, program, numbers, given=given, time_steps=steps, batch=BATCH)
        return stepped(case, lr=0.5)

    return provable(case_id, build)
