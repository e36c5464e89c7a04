"""Class training: twenty steps, for every optimizer and each of its settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from snnhw.conformance.case import Case, LazyCase, clock_of, turn_of
from snnhw.conformance.cases.making.classify import classified
from snnhw.conformance.cases.making.networks import CaseNetwork, Make, chancy, dense, unchanging
from snnhw.conformance.cases.making.neurons import common
from snnhw.conformance.cases.making.search import lively
from snnhw.conformance.cases.making.variants import variants
from snnhw.conformance.expected import trained
from snnhw.ir import OPTIMIZERS, SGD, ATan, CERate, L1Rate, Loss, Optimizer, RMSprop, Term
from snnhw.reference import execute

__all__ = ["STEPS", "cases", "steady"]

STEPS: Final = 20

SAFE: Final = 1e-4
"""How far every neuron stays from its threshold in all steps of training. Parameters on two precisions
drift apart by about 1e-6 in twenty steps, so that no spike can differ."""

MOVED: Final = 1e-3
"""How far every parameter comes in all steps, relative to its size."""

RATES: Final[Mapping[type[Optimizer], float]] = {RMSprop: 0.005}
"""Of those whose first updates are ten times the rate, as the mean of squares has just begun: with more,
gradients are so small in the end that what rounding makes of them decides."""


def cases() -> Iterator[LazyCase]:
    """Every optimizer; and what a job may add to any of them."""
    for name, kind in OPTIMIZERS.items():
        for variant, optimizer in variants(kind, lr=RATES.get(kind, 0.05)):
            yield _case(f"training/{name}-{variant}", optimizer)
    plain = SGD(lr=0.05, momentum=0.5)
    yield _case("training/clipped", plain, clip_norm=0.25)
    yield _case("training/accumulated", plain, accumulate=2)
    yield _case("training/accumulated-clipped", plain, clip_norm=0.25, accumulate=3)
    yield _case("training/frozen", plain, frozen="lif1_in.weight")
    yield _case("training/chancy", plain, make=chancy)
    yield _case("training/static-chancy", plain, make=unchanging)


def _case(
    case_id: str,
    optimizer: Optimizer,
    *,
    clip_norm: float | None = None,
    accumulate: int = 1,
    frozen: str = "",
    make: Make = dense,
) -> LazyCase:
    loss = Loss((Term(CERate(), of="lif2.spk"), Term(L1Rate(), of="lif1.spk", weight=0.002)))
    return classified(
        case_id,
        _network(make, frozen),
        loss,
        optimizer,
        time_steps=4,
        batch=8,
        clip_norm=clip_norm,
        accumulate=accumulate,
        turns=2,
        needs=(lively, steady, moved),
    )


def _network(make: Make, frozen: str) -> CaseNetwork:
    network = make(common(), ATan())
    program = network.program
    return replace(network, program=replace(program, trainable=program.trainable - {frozen}))


def steady(case: Case) -> bool:
    """Whether no neuron comes near its threshold in any step of training."""
    for step, params in enumerate(trained(case, STEPS).history):
        inputs, _ = turn_of(case, step)
        found = execute(
            case.program,
            params,
            inputs,
            time_steps=case.time_steps,
            margins=True,
            training=True,
            clock=clock_of(case, step),
        )
        if min(np.min(np.abs(z)) for z in found.margins.values()) < SAFE:
            return False
    return True


def moved(case: Case) -> bool:
    """Whether no parameter comes back to where it began, so that rounding of itself were all of its way."""
    after = trained(case, STEPS).params
    ways = {
        key: np.abs(np.asarray(after[key], float) - np.asarray(case.params[key], float))
        for key in case.program.trainable
    }
    return all(np.max(way) > MOVED * np.max(np.abs(case.params[key])) for key, way in ways.items())
