"""Holding backends to the reference: cases as data, comparison, reports, and a pytest plugin.

    snnhw conformance cpu --json report.json
    pytest --pyargs snnhw.conformance --snnhw-backend cpu

`cases` makes cases, exact ones by a proof; `bench` asks a backend to do one, and `checks` says what it has to
give, by way of `snnhw.parity`; `outcome` weighs that against what the backend claims; `suite` runs them all,
and `reports` shows what was found. `formats` does as much for files.

Names are imported when they are first used: pytest imports this package in every session of an
environment where snnhw is installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snnhw.conformance.case import CLASSES, Case, LazyCase, Proof
    from snnhw.conformance.outcome import CaseResult
    from snnhw.conformance.reports.report import ConformanceReport
    from snnhw.conformance.suite import all_cases, run, run_on
    from snnhw.parity.comparison import Parity, hold, parity
    from snnhw.parity.live import Live
    from snnhw.parity.tally import Mismatch

_HOMES = {
    "CLASSES": "snnhw.conformance.case",
    "Case": "snnhw.conformance.case",
    "LazyCase": "snnhw.conformance.case",
    "Proof": "snnhw.conformance.case",
    "Live": "snnhw.parity",
    "Mismatch": "snnhw.parity",
    "Parity": "snnhw.parity",
    "hold": "snnhw.parity",
    "parity": "snnhw.parity",
    "CaseResult": "snnhw.conformance.outcome",
    "ConformanceReport": "snnhw.conformance.reports.report",
    "all_cases": "snnhw.conformance.suite",
    "run": "snnhw.conformance.suite",
    "run_on": "snnhw.conformance.suite",
}
"""Public name -> the module that it is imported from."""

__all__ = [
    "CLASSES",
    "Case",
    "CaseResult",
    "ConformanceReport",
    "LazyCase",
    "Live",
    "Mismatch",
    "Parity",
    "Proof",
    "all_cases",
    "hold",
    "parity",
    "run",
    "run_on",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
