"""Training cases: a network, a loss, classes to tell apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast
from zlib import crc32

import numpy as np

from snnhw.conformance.case import Case, LazyCase
from snnhw.conformance.cases.making.harness import observed
from snnhw.conformance.cases.making.networks import CaseNetwork
from snnhw.conformance.cases.making.numbers import Randoms
from snnhw.conformance.cases.making.search import certain, chosen, lively
from snnhw.ir import ClassLoss, Loss, Optimizer, infer_shapes
from snnhw.ir.targets import FIRST_STEPS
from snnhw.parity.arrays import Array, Arrays

__all__ = ["classified"]


def classified(
    case_id: str,
    network: CaseNetwork,
    loss: Loss,
    optimizer: Optimizer,
    *,
    time_steps: int = 8,
    batch: int = 3,
    clip_norm: float | None = None,
    accumulate: int = 1,
    turns: int = 1,
    form: int = 0,
    needs: tuple[Callable[[Case], bool], ...] = (lively, certain),
) -> LazyCase:
    """A case that trains a network on random inputs, with random classes or values for every target, in one
    of the forms that its kind takes."""
    program = network.program

    def build(numbers: Randoms) -> Case:
        given = network.values(numbers)
        case = observed(case_id, program, numbers, given=given, time_steps=time_steps, batch=batch)
        return replace(
            case,
            record=(),
            targets=_targets(case_id, network, loss, steps=time_steps, batch=batch, form=form),
            loss=loss,
            optimizer=optimizer,
            clip_norm=clip_norm,
            accumulate=accumulate,
            turns=turns,
        )

    return chosen(case_id, build, *needs)


def _targets(case_id: str, network: CaseNetwork, loss: Loss, *, steps: int, batch: int, form: int) -> Arrays:
    shapes = infer_shapes(network.program).shapes
    generator = np.random.default_rng(crc32(case_id.encode()))
    found: dict[str, Array] = {}
    for term in loss.terms:
        if isinstance(term.kind, ClassLoss):
            signal = (steps, batch, *shapes[str(term.of)])
            taken = term.kind.takes[form]
            shape = cast("tuple[int, ...]", taken.shape(signal))
            if taken.whole:
                found[term.target] = generator.integers(0, term.kind.classes(signal[-1]), shape)
            elif taken is FIRST_STEPS:
                found[term.target] = generator.integers(-steps, steps, shape)
            else:
                found[term.target] = generator.standard_normal(shape).astype(np.float32)
    return found
