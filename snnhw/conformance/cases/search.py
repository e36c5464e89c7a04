"""Finding numbers for a case: the first attempt that has the property it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from typing import Final, TypeVar
from zlib import crc32

import numpy as np

from snnhw.conformance.case import Arrays, Case
from snnhw.conformance.cases.numbers import Dyadics, Randoms
from snnhw.conformance.dyadic import NotExact
from snnhw.conformance.proof import proven
from snnhw.conformance.walk import Moment, walk
from snnhw.ir import Neuron
from snnhw.reference import execute

__all__ = ["certain", "delicate", "dyadics", "first", "first_proven", "lively", "randoms", "required"]

DRIVES: Final = (1.0, 2.0, 4.0, 0.5, 8.0)
SEEDS: Final = 12
STEPS: Final = (6, 5, 4, 3, 2)
UNITS: Final = (0.25, 0.5, 1.0)
RATES: Final = (0.02, 0.98)
DOUBT: Final = 0.01
"""A bound, or a share of spikes, above which a case would leave too much open to catch anything."""

T = TypeVar("T")


def randoms(name: str) -> Iterator[Randoms]:
    """Sources of random reals, always the same for one name: other signals, then stronger ones."""
    for drive, seed in product(DRIVES, range(SEEDS)):
        yield Randoms(np.random.default_rng([crc32(name.encode()), seed]), drive)


def dyadics(name: str) -> Iterator[tuple[int, Dyadics]]:
    """Numbers of steps, long ones first, each with sources of ever coarser dyadic numbers."""
    for steps, unit, seed in product(STEPS, UNITS, range(2)):
        yield steps, Dyadics(np.random.default_rng([crc32(name.encode()), seed]), unit)


def first(
    name: str, attempts: Iterable[T], build: Callable[[T], Case], *needs: Callable[[Case], bool]
) -> Case:
    """The first case that has all it needs."""
    for attempt in attempts:
        case = build(attempt)
        if all(need(case) for need in needs):
            return case
    raise LookupError(f"no numbers were found for conformance case '{name}'")


def first_proven(name: str, build: Callable[[int, Dyadics], Case]) -> Case | None:
    """The longest case that can be proven exact; None when there is none."""
    for steps, numbers in dyadics(name):
        case = build(steps, numbers)
        try:
            if lively(case):
                return proven(case)
        except NotExact:
            continue
    return None


def lively(case: Case) -> bool:
    """Whether every neuron layer is sometimes silent and sometimes not, and nothing overflows."""
    neurons = [name for name in case.program.named(Neuron) if "spk" in case.program.nodes[name].out_ports]
    found = execute(
        case.program,
        case.params,
        case.inputs,
        time_steps=case.time_steps,
        state=case.state,
        record=[f"{name}.spk" for name in neurons],
        margins=True,
    )
    rates = [np.mean(found.margins[name] > 0) for name in neurons]
    arrays = [*found.outputs.values(), *found.state.values()]
    return all(RATES[0] < rate < RATES[1] for rate in rates) and all(np.isfinite(x).all() for x in arrays)


def certain(case: Case) -> bool:
    """Whether no rounding of float32 can change a spike, or the level that a state is rounded to."""
    moments = list(_moments(case))
    close = all(np.max(port.error) < DOUBT for moment in moments for port in moment.ports.values())
    return close and _share_open(moments) == 0.0


def delicate(case: Case) -> bool:
    """Whether rounding can change some spikes, but too few to hide an error among them."""
    observed = execute(
        case.program,
        case.params,
        case.inputs,
        time_steps=case.time_steps,
        state=case.state,
        record=case.record,
    )
    return 0.0 < _share_open(list(_moments(case, observed.recordings))) < DOUBT


def _moments(case: Case, observed: Arrays | None = None) -> Iterator[Moment]:
    return walk(
        case.program,
        case.params,
        case.inputs,
        time_steps=case.time_steps,
        state=case.state,
        observed=observed,
    )


def _share_open(moments: Sequence[Moment]) -> float:
    """The share of spikes that rounding can change; 0 where there are none."""
    masks = [spikes.open.ravel() for moment in moments for spikes in moment.spikes.values()]
    return float(np.mean(np.concatenate(masks))) if masks else 0.0


def required(name: str, build: Callable[[int, Dyadics], Case]) -> Case:
    """`first_proven`, for cases that must be exact."""
    found = first_proven(name, build)
    if found is None:
        raise LookupError(f"no numbers make conformance case '{name}' exact")
    return found
