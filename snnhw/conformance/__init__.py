"""Holding backends to the reference: cases as data, comparison, reports, and a pytest plugin.

    snnhw conformance cpu --json report.json
    pytest --pyargs snnhw.conformance --snnhw-backend cpu

`cases` makes cases, exact ones by a proof of `rounding`; `bench` asks a backend to do one, and `checks` says
what it has to give, by way of `compare`; `outcome` weighs that against what the backend claims; `suite` runs
them all, and `reports` shows what was found. `verify` takes a network of one's own, `formats` files.

Names are imported when they are first used: pytest imports this package in every session of an
environment where snnhw is installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snnhw.conformance.case import CLASSES, Case, Plan, Proof
    from snnhw.conformance.compare.live import Live
    from snnhw.conformance.compare.parity import Mismatch, Parity, hold, parity
    from snnhw.conformance.outcome import CaseResult
    from snnhw.conformance.reports.report import ConformanceReport
    from snnhw.conformance.suite import all_cases, run, run_on

_HOMES = {
    "CLASSES": "case",
    "Case": "case",
    "Plan": "case",
    "Proof": "case",
    "Live": "compare.live",
    "Mismatch": "compare.parity",
    "Parity": "compare.parity",
    "hold": "compare.parity",
    "parity": "compare.parity",
    "CaseResult": "outcome",
    "ConformanceReport": "reports.report",
    "all_cases": "suite",
    "run": "suite",
    "run_on": "suite",
}
"""Public name -> the module of this package that defines it."""

__all__ = [
    "CLASSES",
    "Case",
    "CaseResult",
    "ConformanceReport",
    "Live",
    "Mismatch",
    "Parity",
    "Plan",
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
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
