"""The law of ranks: those that each have some of the samples learn, all of them, what one learns of all."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

from snnhw.check import reasons_against
from snnhw.conformance.bench import Bench, slopes_of
from snnhw.conformance.case import Case, turn_of, with_samples
from snnhw.conformance.checks.slack import near_loss, near_slope
from snnhw.conformance.expected import gradient_of
from snnhw.conformance.meeting import Meetings, stepped_together
from snnhw.ir import Params
from snnhw.parity.differ import same_bits
from snnhw.parity.result import Disagreement
from snnhw.plugin import Arrays
from snnhw.reference import update

__all__ = ["shares"]


def shares(bench: Bench, case: Case) -> None:
    """Two ranks learn what one does, however they share samples: in halves, unequally, one without any. In
    every bit where there is a proof, else within rounding. Who trains in one process refuses by name."""
    if bench.capabilities.alone:
        _refused(bench, case)
        return
    assert case.optimizer is not None
    wanted = gradient_of(case)
    updated, _ = update(case.optimizer, case.params, wanted.params, {})
    for first in (case.batch // 2, 1, case.batch):
        what = f"with {first} of {case.batch} samples at rank 0, "
        (loss, one), (_, other) = _trained(bench, case, first)
        same_bits(f"{what}rank 1 and rank 0 differ: parameter", other, one)
        if case.proof:
            same_bits(f"{what}after one update, parameter", one, updated)
            if loss != wanted.loss:
                raise Disagreement(f"{what}the loss is {loss!r}, not {wanted.loss!r}")
            continue
        near_loss(f"{what}the loss", loss, wanted.loss)
        for key, slope in slopes_of(case, one).items():
            near_slope(case, key, slope, wanted.params[key], runs=2)


def _trained(bench: Bench, case: Case, first: int) -> list[tuple[float, Params]]:
    """Loss and parameters of each rank after a step; rank 0 has the first so many samples."""
    seats = Meetings(2).seats()
    with ExitStack() as opened:
        ranks = [opened.enter_context(replace(bench, ranks=seat).compile(case)) for seat in seats]
        parts = [slice(first), slice(first, None)]
        found = stepped_together(ranks, seats, [_batch(case, part) for part in parts])
        return [(float(each.loss), rank.get_params()) for each, rank in zip(found, ranks, strict=True)]


def _batch(case: Case, part: slice) -> tuple[Arrays, Arrays]:
    """Inputs and targets of some samples; nothing of none."""
    empty = not range(case.batch)[part]
    return ({}, {}) if empty else turn_of(with_samples(case, part), 0)


def _refused(bench: Bench, case: Case) -> None:
    seat = Meetings(2).seats()[0]
    reasons = reasons_against(case.program, bench.capabilities, replace(bench, ranks=seat).job(case))
    if not any(bench.capabilities.alone in reason for reason in reasons):
        raise Disagreement("it trains in one process, and several are not refused")
