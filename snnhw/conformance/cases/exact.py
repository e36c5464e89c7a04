"""Class exact: proven independent of order and contraction, so that every bit must be right.

Each op and each neuron, forward from a state that is not rest, and through one training step with
straight-through gradients. What cannot be exact, such as an exponential, is left to other classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from snnhw.conformance.case import Case
from snnhw.conformance.cases.examples import subjects
from snnhw.conformance.cases.harness import NODE, Subject, alone, observed, probed, stepped, with_state
from snnhw.conformance.cases.neurons import EXACT_LEVELS, Setting, backwards, settings
from snnhw.conformance.cases.numbers import Dyadics
from snnhw.conformance.cases.search import first_proven, required
from snnhw.conformance.forward import forward_primitives

__all__ = ["ROUNDING", "cases"]

ROUNDING: Final = frozenset({"div", "exp", "log", "sqrt", "sigmoid", "tanh", "atan"})
"""Primitives that round however simple the numbers are (a division by a power of two does not)."""

BATCH: Final = 2
SHAPE: Final = (5,)

Build = Callable[[int, Dyadics], Case]


def cases() -> Iterator[Case]:
    """All of the class that come from registries."""
    for subject in subjects():
        yield required(f"exact/{subject.name}", _forward(f"exact/{subject.name}", subject))
        yield required(f"exact/{subject.name}/step", _step(f"exact/{subject.name}/step", subject))
    for setting in settings():
        for case_id, build in _of(setting):
            found = first_proven(case_id, build)
            if found is not None:
                yield found
            elif not forward_primitives(setting.neuron(SHAPE).step()) & ROUNDING:
                raise LookupError(f"no numbers make conformance case '{case_id}' exact")


def _of(setting: Setting) -> Iterator[tuple[str, Build]]:
    subject = Subject(setting.name, setting.neuron(SHAPE), dict.fromkeys(setting.model.ports, SHAPE))
    forward, step = f"exact/{setting.name}", f"exact/{setting.name}/step"
    yield forward, _forward(forward, subject, setting)
    if backwards(setting):
        yield step, _step(step, subject, setting)


def _forward(case_id: str, subject: Subject, setting: Setting | None = None) -> Build:
    def build(steps: int, numbers: Dyadics) -> Case:
        given = setting.values(NODE, SHAPE, numbers, EXACT_LEVELS) if setting else {}
        case = observed(case_id, alone(subject), numbers, given=given, time_steps=steps, batch=BATCH)
        return with_state(case, numbers)

    return build


def _step(case_id: str, subject: Subject, setting: Setting | None = None) -> Build:
    def build(steps: int, numbers: Dyadics) -> Case:
        given = setting.values(NODE, SHAPE, numbers, EXACT_LEVELS) if setting else {}
        case = observed(case_id, probed(subject), numbers, given=given, time_steps=steps, batch=BATCH)
        return stepped(case, lr=0.5)

    return build
