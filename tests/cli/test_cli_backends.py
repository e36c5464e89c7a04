"""``snnhw backends``."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from cli_calls import call

from snnhw import registry
from snnhw.plugin import Probe

FOUND = {
    "alpha": Probe("ready", version="alpha 1.2", device="one alpha"),
    "beta": Probe("missing", reason="there is no package 'beta'", install='pip install "snnhw[beta]"'),
    "gamma": Probe("broken"),
    "delta": Probe("no device", reason="no delta [rev 2] answers"),
}


@pytest.fixture
def surveyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "survey", lambda group: FOUND)
    monkeypatch.setattr(registry, "names", lambda group: ())


@pytest.mark.usefixtures("surveyed")
def test_every_backend_has_a_row_and_a_reason() -> None:
    result = call("backends")
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[0] == "backend status device version"
    assert lines[2:6] == [
        "alpha ready one alpha alpha 1.2",
        "beta missing",
        "gamma broken",
        "delta no device",
    ]
    assert lines[6:] == [
        "beta: there is no package 'beta'",
        'pip install "snnhw[beta]"',
        "gamma: its probe gives no reason",
        "delta: no delta [rev 2] answers",
    ]


@pytest.mark.usefixtures("surveyed")
def test_json_is_alone_on_stdout() -> None:
    result = call("backends", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["schema"] == 1
    assert [row["name"] for row in found["backends"]] == list(FOUND)
    assert found["backends"][1] == {
        "name": "beta",
        "status": "missing",
        "reason": "there is no package 'beta'",
        "install": 'pip install "snnhw[beta]"',
        "version": "",
        "device": "",
    }


def test_nothing_installed_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "survey", lambda group: {})
    monkeypatch.setattr(registry, "names", lambda group: ())
    result = call("backends")
    assert (result.exit_code, result.stdout) == (0, "No backend is installed.\n")


def test_chips_say_what_their_integers_are_held_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "survey", lambda group: FOUND)
    monkeypatch.setattr(registry, "names", lambda group: ("chip",))
    monkeypatch.setattr(registry, "load", lambda group, name: SimpleNamespace(label="bit-true to a stand-in"))
    assert "chip bit-true to a stand-in" in " ".join(call("backends").stdout.split())
    found = json.loads(call("backends", "--json").stdout)
    assert found["chips"] == [{"name": "chip", "label": "bit-true to a stand-in"}]


def test_what_is_installed_here() -> None:
    found = json.loads(call("backends", "--json").stdout)
    assert {"cpu", "reference"} <= {row["name"] for row in found["backends"] if row["status"] == "ready"}


def test_the_readme_shows_what_each_backend_supports(monkeypatch: pytest.MonkeyPatch) -> None:
    """To mend it: put what ``snnhw backends --supports`` prints between the markers."""
    ours = {"cpu", "cuda", "ipu", "reference"}
    names = registry.names
    monkeypatch.setattr(registry, "names", lambda group: tuple(n for n in names(group) if n in ours))
    text = (Path(__file__).parents[2] / "README.md").read_text()
    shown = text.split("<!-- support -->\n")[1].split("<!-- /support -->")[0]
    assert call("backends", "--supports").stdout == shown
    assert "| `Linear` | yes |" in shown
