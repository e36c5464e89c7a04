"""Cases of formats have teeth, too: what changes on its way through a file is noticed, or was said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from wrong_formats import LEAKY, LINEAR, WRONG, WrongFormat, half, undelayed

from snnhw import registry
from snnhw.conformance import CaseResult, run
from snnhw.conformance.cases.formats import format_cases
from snnhw.conformance.cases.making.examples import EXAMPLES
from snnhw.conformance.formats import judge_format, run_format
from snnhw.errors import InputError
from snnhw.ir import MODELS
from snnhw.plugin import FORMATS


def judged(plugin: WrongFormat, case_id: str, folder: Path) -> CaseResult:
    (lazy,) = (lazy for lazy in format_cases() if lazy.id == case_id)
    return judge_format(plugin, lazy, folder)


@pytest.mark.parametrize("what", WRONG)
def test_it_is_caught(tmp_path: Path, what: str) -> None:
    spoil, case_id, reason = WRONG[what]
    found = judged(WrongFormat(spoil), case_id, tmp_path)
    assert (found.outcome, found.reason[: len(reason)]) == ("failed", reason)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("spoil", [half, undelayed])
def test_what_is_reported_as_lost_is_declined(tmp_path: Path, spoil: Any) -> None:
    case_id = LEAKY if spoil is undelayed else LINEAR
    found = judged(WrongFormat(spoil, lost=("this and that",)), case_id, tmp_path)
    assert (found.outcome, found.reason) == ("declined", "this and that")


def test_a_format_that_changes_nothing_passes_whole() -> None:
    report = run_format(WrongFormat(), quick=True)
    assert (report.of, report.declined, report.failed) == ("format", 0, 0)
    assert report.ok
    about = {word for case in report.cases for word in case.about}
    assert about >= {f"op/{kind.__name__}" for kind in EXAMPLES}


@pytest.mark.parametrize("where", ["neuron", "dense", "recurrent", "recurrent-from-rest"])
def test_every_model_is_tried_everywhere(where: str) -> None:
    ids = [lazy.id for lazy in format_cases()]
    assert len(ids) == len(set(ids))
    found = {case_id.split("/")[2].split("-")[0] for case_id in ids if case_id.startswith(f"format/{where}/")}
    assert found == set(MODELS)


def test_a_name_that_no_backend_has_may_be_a_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "names", lambda group: ("wrong",) if group == FORMATS else ("cpu",))
    monkeypatch.setattr(registry, "file_format", lambda name: WrongFormat())
    seen: list[CaseResult] = []
    report = run("wrong", select="op/Linear", on_result=seen.append)
    assert tuple(seen) == report.cases
    found = [case.id.removeprefix("format/op/Linear-") for case in seen]
    assert found == ["bias", "no-bias", "leading-axes"]
    assert len(run("wrong", quick=True, select="op/").cases) > 50
    assert not run("wrong", quick=True, select="neuron/Alpha").cases
    with pytest.raises(InputError, match="'wrong' is a format, which is held to itself; leave out 'cpu'"):
        run("wrong", against="cpu")
    with pytest.raises(InputError, match="cases of class 'exact' are not about formats"):
        run("wrong", classes=["exact"])
