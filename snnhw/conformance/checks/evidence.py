"""What shows a failure: the smallest program, the first value that is wrong, and what led up to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np

from snnhw.check import reasons_against
from snnhw.conformance.bench import Bench, dtype_of, run_of, stepped_by, trained_by
from snnhw.conformance.case import Case, ports_of, to_run
from snnhw.conformance.cases.training import STEPS
from snnhw.conformance.checks.classes import check
from snnhw.conformance.checks.shrink import shrunk
from snnhw.conformance.checks.slack import GRADIENT
from snnhw.conformance.checks.yardsticks import Yardstick, yardstick
from snnhw.parity.arrays import Array, Arrays
from snnhw.parity.measured import worst_slope
from snnhw.parity.tally import Mismatch
from snnhw.plugin import Result
from snnhw.reference.unroll import schedule

__all__ = ["Curve", "Evidence", "evidence_of"]

SMALL: Final = 12
"""Arrays of at most so many numbers are written out."""

LONGEST: Final = 64
"""So many entries of a gradient are drawn."""


@dataclass(frozen=True)
class Curve:
    """One value over time, or a gradient entry by entry: what the backend gave, and what it should have
    given. ``over`` says which."""

    what: str
    got: tuple[float, ...]
    wanted: tuple[float, ...]
    over: str = "steps"


@dataclass(frozen=True)
class Evidence:
    """What shows a failure.

    Attributes:
        program: the smallest program found that still fails, as it is printed.
        time_steps, batch: of its run.
        arrays: its parameters and inputs, in words.
        reason: how it fails.
        first: the first wrong value of its run; None when the run is right, and what follows it is not.
        traces: over all steps of the case: every port of the neuron at which it is; where the run is right:
            of training, the loss of every step; of one step of training, the gradients that are wrong.
    """

    program: str
    time_steps: int
    batch: int
    arrays: tuple[str, ...]
    reason: str
    first: Mismatch | None = None
    traces: tuple[Curve, ...] = ()


def evidence_of(bench: Bench, case: Case, against: Bench | None = None) -> Evidence | None:
    """Look for what shows the failure of a case; None when it does not fail again.

    Args:
        against: what it is held to in the place of the reference.
    """
    error = _error(bench, against, case)
    if error is None:
        return None
    fails = partial(_fails_alike, bench, against, type(error))
    long = case if case.law else shrunk(case, fails, steps=False)
    small = case if case.law else shrunk(long, fails)
    error = _error(bench, against, small) or error
    found = Evidence(
        str(small.program),
        small.time_steps,
        small.batch,
        tuple(_words({**small.params, **small.inputs, **(small.state or {})})),
        f"{error}" if str(error) else type(error).__name__,
    )
    try:
        return _traced(bench, yardstick(against), long, found)
    except (Exception, SystemExit):  # noqa: BLE001  # it cannot even be run; what is known is told
        return found


def _fails_alike(bench: Bench, against: Bench | None, kind: type[BaseException], case: Case) -> bool:
    return type(_error(bench, against, case)) is kind


def _error(bench: Bench, against: Bench | None, case: Case) -> BaseException | None:
    """What the check of a case raises; nothing where the backend does not claim to do it."""
    if reasons_against(case.program, bench.capabilities, bench.job(case)):
        return None
    try:
        check(bench, case, against)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a stranger's code must not end the run
        return error
    return None


def _traced(bench: Bench, by: Yardstick, case: Case, found: Evidence) -> Evidence:
    """The evidence, with the first wrong value of the run; if there is none, with what training shows."""
    running = replace(to_run(case), record=ports_of(case.program))
    seen = run_of(bench, running)
    strict = case.cls == "pointwise" and not (bench.capabilities.contraction or by.contracts)
    wanted = by.run(running, dtype_of(seen.recordings) if case.cls == "pointwise" else np.float64)
    if case.proof is not None or strict:
        first = _first_bit(running, seen, wanted)
    else:
        first = next((each.first for each in by.judged(running, seen) if each.first), None)
    if first is not None:
        return replace(found, first=first, traces=_traces(running, first, seen, wanted))
    if case.cls == "training":
        losses, _ = trained_by(bench, case, STEPS)
        return replace(found, traces=(Curve("loss", tuple(losses), tuple(by.trained(case)[0])),))
    if case.loss is not None and not case.law:
        slopes, right = stepped_by(bench, case).slopes, by.step(case).slopes
        return replace(found, traces=_gradients(case, slopes, right))
    return found


def _gradients(case: Case, seen: Mapping[str, Array], wanted: Mapping[str, Array]) -> tuple[Curve, ...]:
    """The gradients that are off by more than rounding, the worst first."""
    rounding = 0.0 if case.proof else GRADIENT
    off = {key: worst_slope({key: seen[key]}, {key: wanted[key]}) or 0.0 for key in wanted if key in seen}
    worst = sorted((key for key in off if off[key] > rounding), key=lambda key: -off[key])
    return tuple(
        Curve(f"gradient of {key}", _entries(seen[key]), _entries(wanted[key]), "entries")
        for key in worst[:3]
    )


def _entries(array: Array) -> tuple[float, ...]:
    return _floats(np.ravel(array)[:LONGEST])


def _first_bit(case: Case, seen: Result, wanted: Result) -> Mismatch | None:
    """The first value that is not the same in every bit, in the order of time and of the schedule."""
    order = {name: place for place, name in enumerate(schedule(case.program))}
    found = []
    for port, right in wanted.recordings.items():
        got = np.asarray(seen.recordings[port])
        target = np.asarray(right, got.dtype)
        wrong = np.argwhere((got != target) & ~(np.isnan(got) & np.isnan(target)))
        if len(wrong):
            step, sample, *index = where = tuple(map(int, wrong[0]))
            found.append(
                Mismatch(port, step, sample, tuple(index), float(got[where]), float(target[where]), 0.0)
            )
    return min(found, key=lambda each: (each.step, order[each.port.rpartition(".")[0]]), default=None)


def _traces(case: Case, first: Mismatch, seen: Result, wanted: Result) -> tuple[Curve, ...]:
    """Over time, in that sample: every port of the node that has this neuron; the wrong one first."""
    node = first.port.rpartition(".")[0]
    ports = [first.port, *(f"{node}.{port}" for port in case.program.nodes[node].out_ports)]
    at = (slice(None), first.sample, *first.index)
    return tuple(
        Curve(port, _floats(seen.recordings[port][at]), _floats(wanted.recordings[port][at]))
        for port in dict.fromkeys(ports)
        if np.shape(seen.recordings[port]) == np.shape(seen.recordings[first.port])
    )


def _floats(array: Array) -> tuple[float, ...]:
    return tuple(map(float, array))


def _words(arrays: Mapping[str, Array] | Arrays) -> list[str]:
    return [
        f"{name} {list(x.shape)} = {x.tolist()}" if x.size <= SMALL else f"{name} {list(x.shape)}, {x.dtype}"
        for name, x in arrays.items()
    ]
