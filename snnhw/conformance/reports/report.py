"""The result of a conformance run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any, Literal

from snnhw.conformance.checks.evidence import Evidence
from snnhw.conformance.outcome import CaseResult

__all__ = ["SCHEMA", "SHOWN", "ConformanceReport", "report"]

SCHEMA = 1
"""Version of the JSON form."""

SHOWN = 20
"""For so many failures the smallest program is looked for; more than that are hardly read one by one."""


@dataclass(frozen=True)
class ConformanceReport:
    """How a backend did, or a format.

    Attributes:
        backend: its name; of: what it is.
        label: what marks its results, such as ``"emulated"``; "" for the real thing.
        against: the backend that it was held to; "" for the reference.
        passed, declined, xfailed, failed: numbers of cases.
        cases: one result for each.
    """

    schema: int
    backend: str
    label: str
    passed: int
    declined: int
    xfailed: int
    failed: int
    cases: tuple[CaseResult, ...]
    against: str = ""
    of: Literal["backend", "format"] = "backend"

    @property
    def ok(self) -> bool:
        """Whether nothing failed and something was executed: a backend that declines everything has
        proven nothing."""
        return not self.failed and bool(self.passed + self.xfailed)

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dump`."""
        counts = {name: getattr(self, name) for name in ("passed", "declined", "xfailed", "failed")}
        return {
            "schema": self.schema,
            "backend": self.backend,
            "label": self.label,
            "against": self.against,
            **counts,
            "cases": [_case(case) for case in self.cases],
        }


def report(
    backend: str,
    label: str,
    cases: Sequence[CaseResult],
    against: str = "",
    of: Literal["backend", "format"] = "backend",
) -> ConformanceReport:
    """The report of these results."""
    count = Counter(case.outcome for case in cases)
    return ConformanceReport(
        schema=SCHEMA,
        backend=backend,
        label=label,
        passed=count["passed"],
        declined=count["declined"],
        xfailed=count["xfailed"],
        failed=count["failed"],
        cases=tuple(cases),
        against=against,
        of=of,
    )


def _case(case: CaseResult) -> dict[str, Any]:
    found = {
        "id": case.id,
        "class": case.cls,
        "outcome": case.outcome,
        "reason": case.reason,
        "seconds": case.seconds,
        "membrane_error": _number(case.measured.membrane_error),
        "spikes": case.measured.spikes,
        "spike_mismatches": case.measured.flips,
        "gradient_error": _number(case.measured.gradient_error),
        "about": list(case.about),
        "proof": None if case.proof is None else asdict(case.proof),
    }
    return found if case.evidence is None else {**found, "evidence": _evidence(case.evidence)}


def _evidence(evidence: Evidence) -> dict[str, Any]:
    first = evidence.first
    return {
        "program": evidence.program,
        "time_steps": evidence.time_steps,
        "batch": evidence.batch,
        "arrays": list(evidence.arrays),
        "reason": evidence.reason,
        "first": first
        and {
            "port": first.port,
            "step": first.step,
            "sample": first.sample,
            "index": list(first.index),
            "got": _number(first.got),
            "wanted": _number(first.wanted),
        },
        "traces": [
            {
                "what": each.what,
                "over": each.over,
                "got": list(map(_number, each.got)),
                "wanted": list(map(_number, each.wanted)),
            }
            for each in evidence.traces
        ],
    }


def _number(value: float | None) -> float | str | None:
    """JSON has no infinity and no NaN: these are written as words."""
    return value if value is None or isfinite(value) else str(value)
