"""The suite has teeth: each way of being wrong is noticed, by the case that is about it."""

from __future__ import annotations

from typing import cast

import pytest
from bites import WRONG, Bite
from wrong_backends import OWN, Wrong

import snnhw.reference
from snnhw.conformance import CaseResult, all_cases
from snnhw.conformance.bench import Bench
from snnhw.conformance.outcome import judge
from snnhw.plugin import Backend


@pytest.fixture(autouse=True)
def own_ops(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference runs the ops that only wrong backends have."""
    for kind, rule in OWN.items():
        monkeypatch.setitem(cast("dict[object, object]", snnhw.reference.RULES), kind, rule)


def judged(bite: Bite, case_id: str) -> CaseResult:
    (lazy,) = (lazy for lazy in all_cases() if lazy.id == case_id)
    return judge(Bench(cast("Backend", bite.backend), bite.options), lazy)


@pytest.mark.parametrize("what", WRONG)
def test_it_is_caught(what: str) -> None:
    for case_id in WRONG[what].caught:
        found = judged(WRONG[what], case_id)
        assert found.outcome == "failed", f"{case_id} did not notice"
        assert found.reason


@pytest.mark.parametrize("what", WRONG)
def test_by_the_cases_that_are_about_it(what: str) -> None:
    for case_id in WRONG[what].spared:
        found = judged(WRONG[what], case_id)
        assert found.outcome == "passed", f"{case_id}: {found.reason}"


def test_each_of_these_cases_passes_on_the_reference_itself() -> None:
    for case_id in sorted({case_id for bite in WRONG.values() for case_id in bite.caught}):
        honest = Bite(Wrong(), ())
        assert judged(honest, case_id).outcome == "passed", case_id
