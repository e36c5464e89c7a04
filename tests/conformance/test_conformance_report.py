"""Reports: their JSON form, and when they are good news."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from typing import get_args

import pytest

from snnhw.conformance import CaseResult, Mismatch, Proof
from snnhw.conformance.checks.evidence import Curve, Evidence
from snnhw.conformance.outcome import Outcome
from snnhw.conformance.reports.page import page
from snnhw.conformance.reports.report import report
from snnhw.conformance.reports.statistics import by_class, figures, matrix
from snnhw.parity.result import Measured


def result(outcome: Outcome, name: str = "exact/a") -> CaseResult:
    return CaseResult(name, "exact", outcome, "" if outcome == "passed" else "why", 0.25)


def test_the_json_form() -> None:
    nothing: dict[str, object] = {"membrane_error": None, "gradient_error": None, "about": [], "proof": None}
    nothing |= {"spikes": 0, "spike_mismatches": 0}
    found = report("chip", "emulated", [result("passed"), result("declined", "exact/b")]).to_json()
    assert json.loads(json.dumps(found)) == {
        "schema": 1,
        "backend": "chip",
        "label": "emulated",
        "against": "",
        "passed": 1,
        "declined": 1,
        "xfailed": 0,
        "failed": 0,
        "cases": [
            {"id": "exact/a", "class": "exact", "outcome": "passed", "reason": "", "seconds": 0.25} | nothing,
            {"id": "exact/b", "class": "exact", "outcome": "declined", "reason": "why", "seconds": 0.25}
            | nothing,
        ],
    }


def test_measures_and_evidence_in_json() -> None:
    first = Mismatch("lif.mem", 2, 0, (1,), math.inf, 0.25, 0.0)
    traces = (Curve("lif.mem", (0.0, math.nan), (0.0, 0.25)),)
    evidence = Evidence("program", 3, 1, ("x [1] = [0.5]",), "why", first, traces)
    measured = Measured(math.inf, 10, 2, 0.5)
    case = replace(
        result("failed"), measured=measured, about=("op/Add",), proof=Proof(-4, 96), evidence=evidence
    )
    (found,) = report("chip", "", [case]).to_json()["cases"]
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["membrane_error"], found["spikes"], found["spike_mismatches"]) == ("inf", 10, 2)
    assert (found["gradient_error"], found["about"]) == (0.5, ["op/Add"])
    assert found["proof"] == {"grid": -4, "largest": 96}
    assert found["evidence"] == {
        "program": "program",
        "time_steps": 3,
        "batch": 1,
        "arrays": ["x [1] = [0.5]"],
        "reason": "why",
        "first": {"port": "lif.mem", "step": 2, "sample": 0, "index": [1], "got": "inf", "wanted": 0.25},
        "traces": [{"what": "lif.mem", "over": "steps", "got": [0.0, "nan"], "wanted": [0.0, 0.25]}],
    }


# -- Figures --------------------------------------------------------------------------------------


def measured(name: str, outcome: Outcome, about: str, error: float, seconds: float) -> CaseResult:
    cls = name.partition("/")[0]
    return CaseResult(name, cls, outcome, "", seconds, Measured(error, 10, 1), (about,))


CASES = [
    measured("law/a", "passed", "neuron/Leaky", 0.5, 1.0),
    measured("exact/b", "failed", "op/Add", 0.25, 2.0),
    measured("exact/c", "passed", "op/Add", 0.125, 4.0),
]


def test_figures_add_up_by_class() -> None:
    found = by_class(CASES)
    assert list(found) == ["exact", "law"]
    exact = found["exact"]
    assert (exact.outcomes, exact.membrane_error, exact.gradient_error) == (
        {"passed": 1, "failed": 1},
        0.25,
        None,
    )
    assert (exact.spikes, exact.flips, exact.mismatch_rate) == (20, 2, 0.1)
    assert (exact.seconds, exact.slowest) == (6.0, 4.0)
    assert figures([]).mismatch_rate is None


def test_the_matrix_has_a_row_for_what_cases_are_about() -> None:
    assert {row: list(found) for row, found in matrix(CASES).items()} == {
        "op/Add": ["exact"],
        "neuron/Leaky": ["law"],
    }


def test_the_page_is_whole_and_loads_nothing() -> None:
    first = Mismatch("lif.mem", 1, 0, (), 0.5, 0.25, 0.0)
    traces = (Curve("lif.<mem>", (0.0, 0.5, math.nan), (0.0, 0.25, 0.25)), Curve("one step", (1.0,), (1.0,)))
    evidence = Evidence("x <- y", 3, 1, (), "a & b", first, traces)
    failed = replace(CASES[1], reason="0 < 1", evidence=evidence)
    text = page(report("chip", "emulated on paper", [failed, *CASES[2:], CASES[0]]))
    parser = Tags()
    parser.feed(text)
    assert parser.open == []
    assert parser.counts["svg"] == 2
    assert not {"script", "link", "img", "iframe"} & parser.counts.keys()
    assert "http" not in text
    for part in (
        "emulated on paper",
        "0 &lt; 1",
        "a &amp; b",
        "x &lt;- y",
        "1 of 2",
        "lif.&lt;mem&gt;",
        "NaN",
    ):
        assert (part in text) == (part != "NaN"), part


class Tags(HTMLParser):
    """What is open, and how often each tag occurs."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.counts: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.counts[tag] += 1
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.counts[tag] += 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


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
