"""Class law: products whose numbers are so short that a coarser precision of them holds every one.

How far a precision that somebody has chosen rounds is a backend's own affair; that it is right in all else
shows on numbers that need no rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from snnhw.conformance.case import Case, LazyCase
from snnhw.conformance.cases.making.examples import subjects
from snnhw.conformance.cases.making.harness import Subject, alone, observed, probed, stepped
from snnhw.conformance.cases.making.networks import NETWORKS
from snnhw.conformance.cases.making.neurons import common
from snnhw.conformance.cases.making.numbers import Dyadics
from snnhw.conformance.cases.making.search import provable
from snnhw.ir import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, Linear, Op, StraightThrough

__all__ = ["cases"]

SHORT: Final = 8
"""Bits of a bfloat16's significand, the shortest that products are computed in."""

PRODUCTS: Final = (Linear, Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d)

TRAINED: Final[Mapping[type[Op], str]] = {Linear: "", Conv3d: "groups"}
"""Products whose adjoints are as short, for some numbers -> which of their examples."""

WHOLE: Final = ("dense", "recurrent", "residual")
"""Networks of which the same is true, forward."""


def cases() -> Iterator[LazyCase]:
    """Every product alone, some of them in a step of training, and networks."""
    for subject in subjects():
        kind = type(subject.op)
        if kind in PRODUCTS:
            yield _alone(subject)
        if kind in TRAINED and TRAINED[kind] in subject.name:
            yield _stepped(subject)
    for name in WHOLE:
        yield _network(name)


def _alone(subject: Subject) -> LazyCase:
    case_id, program = f"law/rounds-{subject.name}", alone(subject)

    def build(steps: int, numbers: Dyadics) -> Case:
        case = observed(case_id, program, numbers, given={}, time_steps=steps, batch=2)
        return replace(case, law="rounds")

    return provable(case_id, build, SHORT)


def _stepped(subject: Subject) -> LazyCase:
    case_id, program = f"law/rounds-{subject.name}/step", probed(subject)

    def build(steps: int, numbers: Dyadics) -> Case:
        case = observed(case_id, program, numbers, given={}, time_steps=steps, batch=2)
        return replace(stepped(case, lr=0.5), law="rounds")

    return provable(case_id, build, SHORT)


def _network(name: str) -> LazyCase:
    case_id, network = f"law/rounds-{name}", NETWORKS[name](common(), StraightThrough())

    def build(steps: int, numbers: Dyadics) -> Case:
        given = network.values(numbers)
        case = observed(case_id, network.program, numbers, given=given, time_steps=steps, batch=4)
        return replace(case, law="rounds")

    return provable(case_id, build, SHORT)
