"""NIR is held to the conformance cases of formats."""

from __future__ import annotations

from collections import Counter
from typing import cast

import pytest
from nir_calls import FORMAT

from snnhw import registry
from snnhw.conformance import run
from snnhw.conformance.formats import run_format
from snnhw.errors import InputError
from snnhw.plugin import FORMATS, Format

SAID = {"op": 15, "neuron": 80, "dense": 20, "recurrent-from-rest": 20}
"""Kind of case -> so many at least come back whole; the others are refused."""


def passed(lossy: str, *, quick: bool) -> Counter[str]:
    report = run_format(cast("Format", FORMAT), {"lossy": lossy}, quick=quick)
    assert [(case.id, case.reason) for case in report.cases if case.outcome == "failed"] == []
    return Counter(case.id.split("/")[1] for case in report.cases if case.outcome == "passed")


def test_a_quick_look() -> None:
    found = passed("allow", quick=True)
    assert found["op"] >= SAID["op"]
    assert found["neuron"] >= 20


def test_options_come_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """As from a command line: numbers are numbers, and a misspelt name ends the run at once."""
    monkeypatch.setattr(registry, "names", lambda group: ("nir",) if group == FORMATS else ())
    monkeypatch.setattr(registry, "file_format", lambda name: FORMAT)
    report = run("nir", {"dt": "1e-3"}, select="op/Linear")
    assert [case.outcome for case in report.cases] == ["passed", "passed", "declined"]  # no leading axes
    with pytest.raises(
        InputError, match=r"format 'nir' has no option 'dtt' for writing. Did you mean 'dt'\?"
    ):
        run("nir", {"dtt": "1e-3"})


@pytest.mark.slow
@pytest.mark.parametrize("lossy", ["error", "allow"])
def test_every_case(lossy: str) -> None:
    found = passed(lossy, quick=False)
    assert {kind: found[kind] >= least for kind, least in SAID.items()} == dict.fromkeys(SAID, True), found
