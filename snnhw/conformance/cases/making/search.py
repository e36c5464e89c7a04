"""Finding numbers for a case: the first attempt that has the property it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Final
from zlib import crc32

import numpy as np

from snnhw.conformance.case import Case, LazyCase
from snnhw.conformance.cases.making.numbers import Dyadics, Randoms
from snnhw.conformance.cases.making.proof import proven
from snnhw.ir import Neuron
from snnhw.parity.arrays import Arrays
from snnhw.parity.rounding.dyadic import PRECISION, NotExact
from snnhw.parity.rounding.walk import Moment, walk
from snnhw.reference import execute

__all__ = ["certain", "chosen", "delicate", "dyadics", "lively", "provable", "randoms"]

DRIVES: Final = (1.0, 2.0, 4.0, 0.5, 8.0, 32.0, 128.0)
SEEDS: Final = 12
STEPS: Final = (6, 5, 4, 3, 2)
UNITS: Final = (0.25, 0.5, 1.0)
RATES: Final = (0.02, 0.98)
DOUBT: Final = 0.01
"""A relative bound, or a share of spikes, above which a case would leave too much open to catch errors."""


def randoms(name: str) -> Iterator[Randoms]:
    """Sources of random reals, always the same for one name: other signals, then stronger ones."""
    for drive, seed in product(DRIVES, range(SEEDS)):
        yield Randoms(np.random.default_rng([crc32(name.encode()), seed]), drive)


def dyadics(name: str) -> Iterator[tuple[int, Dyadics]]:
    """Numbers of steps, long ones first, each with sources of ever coarser dyadic numbers."""
    for steps, unit, seed in product(STEPS, UNITS, range(2)):
        yield steps, Dyadics(np.random.default_rng([crc32(name.encode()), seed]), unit)


def chosen(case_id: str, build: Callable[[Randoms], Case], *needs: Callable[[Case], bool]) -> LazyCase:
    """A case on random reals: the first that has all it needs."""

    def make() -> Case:
        for numbers in randoms(case_id):
            case = build(numbers)
            if all(need(case) for need in needs):
                return case
        raise LookupError(f"no numbers were found for conformance case '{case_id}'")

    return LazyCase(case_id, make)


def provable(case_id: str, build: Callable[[int, Dyadics], Case], bits: int = PRECISION) -> LazyCase:
    """A case on dyadic numbers: the longest that can be proven exact in so many bits."""

    def make() -> Case:
        for steps, numbers in dyadics(case_id):
            case = build(steps, numbers)
            try:
                case = proven(case) if lively(case) else case
            except NotExact:
                continue
            if case.proof is not None and case.proof.largest < 2**bits:
                return case
        raise LookupError(f"no numbers make conformance case '{case_id}' exact")

    return LazyCase(case_id, make)


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
    ports = [port for moment in moments for port in moment.ports.values()]
    close = all(np.max(port.error) < DOUBT * max(1.0, np.max(np.abs(port.value))) for port in ports)
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
