"""The result of a conformance run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from snnhw.conformance.outcome import CaseResult

__all__ = ["SCHEMA", "ConformanceReport", "report"]

SCHEMA = 1
"""Version of the JSON form."""


@dataclass(frozen=True)
class ConformanceReport:
    """How a backend did.

    Attributes:
        backend: its name.
        label: what marks its results, such as ``"emulated"``; "" for the real thing.
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
            **counts,
            "cases": [
                {
                    "id": case.id,
                    "class": case.cls,
                    "outcome": case.outcome,
                    "reason": case.reason,
                    "seconds": case.seconds,
                }
                for case in self.cases
            ],
        }


def report(backend: str, label: str, cases: Sequence[CaseResult]) -> ConformanceReport:
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
    )
