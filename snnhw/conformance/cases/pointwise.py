"""Class pointwise: a neuron alone on random reals, bit for bit; near: the same where functions round.

What a neuron computes is its equations in written order, every operation rounded once. As long as these
are sums, products, quotients and comparisons, there is one right answer in every bit, for any numbers
and any T, on every backend that does not contract. No two libraries agree on an exponential, so models
that need one are held to the error bound instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from snnhw.conformance.case import Case, LazyCase
from snnhw.conformance.cases.making.examples import EXAMPLES, subjects
from snnhw.conformance.cases.making.harness import NODE, Subject, alone, observed, with_state
from snnhw.conformance.cases.making.neurons import Setting, settings
from snnhw.conformance.cases.making.numbers import Randoms
from snnhw.conformance.cases.making.search import chosen, lively
from snnhw.ir import Neuron, Pointwise
from snnhw.parity.rounding.forward import forward_primitives

__all__ = ["TRANSCENDENTAL", "cases", "is_arithmetic"]

TRANSCENDENTAL: Final = frozenset({"exp", "log", "sqrt", "sigmoid", "tanh", "atan"})
"""Primitives whose last bits are nobody's promise."""

STEPS: Final = 50
BATCH: Final = 3
SHAPE: Final = (2, 3)


def cases() -> Iterator[LazyCase]:
    """Every neuron, and every stateless function of the examples."""
    for setting in settings():
        yield neuron_case(setting)
    for subject in subjects({Pointwise: EXAMPLES[Pointwise]}):
        case_id, program = f"pointwise/{subject.name}", alone(subject)
        yield chosen(case_id, partial(observed, case_id, program, time_steps=STEPS, batch=BATCH))


def neuron_case(setting: Setting) -> LazyCase:
    """The case of one neuron, in the class that its equations allow; from a state that is not rest, so that
    some neurons are reset in the first step."""
    op = setting.neuron(SHAPE)
    case_id = f"{'pointwise' if is_arithmetic(op) else 'near'}/{setting.name}"
    program = alone(Subject(setting.name, op, dict.fromkeys(setting.model.ports, SHAPE)))

    def build(numbers: Randoms) -> Case:
        given = setting.values(NODE, SHAPE, numbers)
        case = observed(case_id, program, numbers, given=given, time_steps=STEPS, batch=BATCH)
        return with_state(case, numbers)

    return chosen(case_id, build, lively)


def is_arithmetic(op: Neuron | Pointwise) -> bool:
    """Whether there is one right answer in every bit."""
    return not forward_primitives(op.equations()) & TRANSCENDENTAL
