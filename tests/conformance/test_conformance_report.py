"""Reports: their JSON form, and when they are good news."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from snnhw.conformance import CaseResult
from snnhw.conformance.outcome import Outcome
from snnhw.conformance.report import report


def result(outcome: Outcome, name: str = "exact/a") -> CaseResult:
    return CaseResult(name, "exact", outcome, "" if outcome == "passed" else "why", 0.25)


def test_the_json_form() -> None:
    found = report("chip", "emulated", [result("passed"), result("declined", "exact/b")]).to_json()
    assert json.loads(json.dumps(found)) == {
        "schema": 1,
        "backend": "chip",
        "label": "emulated",
        "passed": 1,
        "declined": 1,
        "xfailed": 0,
        "failed": 0,
        "cases": [
            {"id": "exact/a", "class": "exact", "outcome": "passed", "reason": "", "seconds": 0.25},
            {"id": "exact/b", "class": "exact", "outcome": "declined", "reason": "why", "seconds": 0.25},
        ],
    }


@pytest.mark.parametrize(
    ("outcomes", "ok"),
    [
        (["passed"], True),
        (["passed", "declined", "xfailed"], True),
        (["xfailed"], True),
        (["passed", "failed"], False),
        (["declined", "declined"], False),
        ([], False),
    ],
)
def test_failures_and_nothing_executed_are_bad_news(outcomes: list[Outcome], ok: bool) -> None:
    assert report("chip", "", [result(outcome) for outcome in outcomes]).ok is ok


def test_every_outcome_is_counted() -> None:
    outcomes = get_args(Outcome)
    found = report("chip", "", [result(outcome) for outcome in outcomes])
    assert [getattr(found, outcome) for outcome in outcomes] == [1] * len(outcomes)
