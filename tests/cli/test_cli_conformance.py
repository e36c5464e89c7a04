"""``snnhw conformance``: what it asks for, shows, writes and ends with."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from cli_calls import call

import snnhw.conformance.suite
from snnhw import conformance
from snnhw.conformance import CaseResult, Mismatch
from snnhw.conformance.cases import exact
from snnhw.conformance.checks.evidence import Evidence
from snnhw.conformance.reports.report import report
from snnhw.parity.result import Measured

PASSED = CaseResult("exact/a", "exact", "passed", "", 0.5, Measured(0.25, 100, 1, 0.5), ("op/Add",))
DECLINED = CaseResult("exact/b", "exact", "declined", "no delays", 0.0)
XFAILED = CaseResult("law/c", "law", "xfailed", "known. https://example.org/1", 0.1)
FAILED = CaseResult("law/d", "law", "failed", "port 'x.y' at [0, 1] is 0.5, not 0.25", 0.2)


class Suite:
    """Stands for the suite: gives these results, and keeps what it was asked."""

    def __init__(self, *results: CaseResult, label: str = "", against: str = "") -> None:
        self.results, self.label, self.against = results, label, against
        self.asked: dict[str, Any] = {}

    def run(
        self, name: str, options: Any, *, on_result: Callable[[CaseResult], None], **asked: Any
    ) -> conformance.ConformanceReport:
        self.asked = {"name": name, "options": options, **asked}
        for result in self.results:
            on_result(result)
        return report(name, self.label, self.results, self.against)


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Suite]:
    def stand_in(*results: CaseResult, label: str = "", against: str = "") -> Suite:
        made = Suite(*results, label=label, against=against)
        monkeypatch.setattr(conformance, "run", made.run, raising=False)
        return made

    return stand_in


def rows(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_a_row_for_each_class_and_status_0(suite: Callable[..., Suite]) -> None:
    suite(PASSED, DECLINED, XFAILED)
    result = call("conformance", "chip")
    assert result.exit_code == 0
    shown = rows(result.stdout)
    assert shown[:2] == ["Backend chip", "class passed declined xfailed failed membrane spikes gradient"]
    assert shown[3:] == [
        "exact 1 1 0 0 0.25 1.00% 0.5",
        "law 0 0 1 0",
        "",
        "1 passed, 1 declined, 1 xfailed in 0.6 s",
    ]


def test_the_label_is_shown(suite: Callable[..., Suite]) -> None:
    suite(PASSED, label="emulated on torch 2.9")
    assert call("conformance", "chip").stdout.startswith("Backend chip (emulated on torch 2.9)\n")


def test_every_failure_has_its_reason_and_status_1(suite: Callable[..., Suite]) -> None:
    suite(PASSED, FAILED)
    result = call("conformance", "chip")
    assert result.exit_code == 1
    assert "\nlaw/d\n  port 'x.y' at [0, 1] is 0.5, not 0.25\n" in result.stdout
    assert result.stderr == "error: 1 of 2 cases failed\n"


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ([], "nothing was run: no case fits --select, --class and --quick"),
        ([DECLINED], "nothing was run: the backend declined all 1 cases"),
    ],
)
def test_nothing_run_is_a_failure(
    results: list[CaseResult], message: str, suite: Callable[..., Suite]
) -> None:
    suite(*results)
    result = call("conformance", "chip")
    assert result.exit_code == 1
    assert result.stderr == f"error: {message}\n"


def test_the_report_is_written_also_when_a_case_fails(suite: Callable[..., Suite], tmp_path: Path) -> None:
    suite(PASSED, FAILED)
    file = tmp_path / "report.json"
    assert call("conformance", "chip", "--json", file).exit_code == 1
    found = json.loads(file.read_text())
    assert (found["schema"], found["backend"], found["passed"], found["failed"]) == (1, "chip", 1, 1)
    assert found["cases"][1]["reason"] == FAILED.reason
    assert list(tmp_path.iterdir()) == [file]


def test_a_report_without_a_folder_is_refused_before_the_work(
    suite: Callable[..., Suite], tmp_path: Path
) -> None:
    asked = suite(PASSED)
    result = call("conformance", "chip", "--json", tmp_path / "absent" / "report.json")
    assert result.exit_code == 2
    assert "there is no folder" in result.stderr
    assert asked.asked == {}


def test_what_is_asked_for(suite: Callable[..., Suite]) -> None:
    asked = suite(PASSED)
    call(
        "conformance",
        "chip",
        "--select",
        "a",
        "--select",
        "b",
        "--class",
        "law",
        "--class",
        "exact",
        "-o",
        "dtype=float64",
    )
    assert asked.asked == {
        "name": "chip",
        "options": {"dtype": "float64"},
        "select": ("a", "b"),
        "classes": ("law", "exact"),
        "quick": False,
        "paths": False,
        "against": None,
    }


def test_a_quick_look_against_another_backend(suite: Callable[..., Suite]) -> None:
    asked = suite(PASSED, against="stone")
    result = call("conformance", "chip", "--quick", "--paths", "--against", "stone")
    assert [asked.asked[name] for name in ("quick", "paths", "against")] == [True, True, "stone"]
    assert result.stdout.startswith("Backend chip against stone\n")


def test_a_failure_is_shown_with_the_smallest_program(suite: Callable[..., Suite]) -> None:
    first = Mismatch("lif.mem", 2, 0, (1,), 0.5, 0.25, 0.0)
    evidence = Evidence("program dt=1\n  x  Input", 3, 1, (), "why", first)
    suite(replace(FAILED, evidence=evidence))
    shown = call("conformance", "chip").stdout
    assert (
        "The smallest program that shows it, with T=3 and B=1:\n    program dt=1\n      x  Input\n" in shown
    )
    assert "First: lif.mem at [t=2, b=0, 1] is 0.5, not 0.25" in shown


def test_a_page_for_a_browser(suite: Callable[..., Suite], tmp_path: Path) -> None:
    suite(PASSED, FAILED)
    file = tmp_path / "report.html"
    assert call("conformance", "chip", "--html", file).exit_code == 1
    assert file.read_text().startswith("<!doctype html>")
    assert call("conformance", "chip", "--html", tmp_path / "absent" / "report.html").exit_code == 2


def test_plain_lines_count_along(suite: Callable[..., Suite]) -> None:
    suite(*[PASSED] * 99, DECLINED, PASSED)
    assert call("conformance", "chip").stderr == "100 cases: 99 passed, 1 declined\n"


def test_an_unknown_backend_is_named(tmp_path: Path) -> None:
    result = call("conformance", "referense", "--json", tmp_path / "report.json")
    assert result.exit_code == 1
    assert (
        "no installed distribution offers a backend 'referense'. Did you mean 'reference'?" in result.stderr
    )
    assert list(tmp_path.iterdir()) == []


def test_the_suite_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = tuple(islice(exact.cases(), 6))  # making all of them takes a while
    monkeypatch.setattr(snnhw.conformance.suite, "all_cases", lambda: few)
    file = tmp_path / "report.json"
    result = call("conformance", "reference", "--json", file)
    assert result.exit_code == 0, result.output
    found = json.loads(file.read_text())
    assert (found["passed"], [case["id"] for case in found["cases"]]) == (6, [case.id for case in few])


def test_an_unknown_class_lists_them() -> None:
    result = call("conformance", "reference", "--class", "exakt")
    assert result.exit_code == 1
    assert "there is no class 'exakt' of conformance cases. Did you mean 'exact'?" in result.stderr


def test_a_format_is_called_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(name: str, *_: Any, **__: Any) -> conformance.ConformanceReport:
        declined = replace(DECLINED, id="format/op/a", cls="format")
        return report(name, "", [declined], of="format")

    monkeypatch.setattr(conformance, "run", run, raising=False)
    result = call("conformance", "nir")
    assert rows(result.stdout)[0] == "Format nir"
    assert "format 0 1 0 0" in rows(result.stdout)
    assert result.stderr == "error: nothing was run: the format declined all 1 cases\n"
