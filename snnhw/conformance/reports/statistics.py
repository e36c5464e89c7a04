"""A report in numbers: by class, and by what cases are about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from snnhw.conformance.case import EVERY_CLASS
from snnhw.conformance.outcome import CaseResult, Outcome

__all__ = ["ORDER", "Figures", "by_class", "figures", "matrix"]

ORDER = ("op", "neuron", "surrogate", "loss", "optimizer")
"""Kinds of what a case may be about, as tables list them."""


@dataclass(frozen=True)
class Figures:
    """Some results in numbers.

    Attributes:
        outcomes: outcome -> number of cases.
        membrane_error, gradient_error: the worst; None where none was measured.
        spikes, flips: compared, and differing.
        seconds: of all of them; slowest: of the slowest.
    """

    outcomes: Mapping[Outcome, int]
    membrane_error: float | None
    gradient_error: float | None
    spikes: int
    flips: int
    seconds: float
    slowest: float

    @property
    def mismatch_rate(self) -> float | None:
        """The share of spikes that differ; None where none was compared."""
        return self.flips / self.spikes if self.spikes else None


def figures(cases: Sequence[CaseResult]) -> Figures:
    """These results in numbers."""
    measured = [case.measured for case in cases]
    return Figures(
        outcomes=Counter(case.outcome for case in cases),
        membrane_error=_worst(each.membrane_error for each in measured),
        gradient_error=_worst(each.gradient_error for each in measured),
        spikes=sum(each.spikes for each in measured),
        flips=sum(each.flips for each in measured),
        seconds=sum(case.seconds for case in cases),
        slowest=max((case.seconds for case in cases), default=0.0),
    )


def by_class(cases: Sequence[CaseResult]) -> dict[str, Figures]:
    """Class -> its figures, the strongest class first; only those with cases."""
    mine = {cls: [case for case in cases if case.cls == cls] for cls in EVERY_CLASS}
    return {cls: figures(found) for cls, found in mine.items() if found}


def matrix(cases: Sequence[CaseResult]) -> dict[str, dict[str, Figures]]:
    """``kind/name`` -> class -> figures of the cases that are about it, in the order of kinds and names."""
    subjects = {word for case in cases for word in case.about}
    order = sorted(subjects, key=lambda word: (ORDER.index(word.partition("/")[0]), word))
    return {word: by_class([case for case in cases if word in case.about]) for word in order}


def _worst(errors: Iterable[float | None]) -> float | None:
    return max((error for error in errors if error is not None), default=None)
