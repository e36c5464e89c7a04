"""Every block of Python on these pages runs as it stands, one after the other, as a reader would."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from source import ROOT

from snnhw.cli.train.config import KEYS
from snnhw.errors import ExportError
from snnhw.ir import MODELS

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)

TABLE = re.compile(r"^<!-- (\w+) -->\n(?:\|.*\n)+<!-- /\1 -->$", re.MULTILINE)


def blocks(page: str) -> list[tuple[int, str]]:
    """The line at which each block begins, and its text."""
    text = (ROOT / "docs" / page).read_text()
    return [(text.count("\n", 0, found.start(1)), found[1]) for found in BLOCK.finditer(text)]


def test_every_table_on_snntorch_is_held_by_a_test() -> None:
    """Each is marked, and a test compares its rows with what it shows (`page.rows`)."""
    text = (ROOT / "docs" / "snntorch.md").read_text()
    tables = list(TABLE.finditer(text))
    held = sum(table[0].count("\n|") for table in tables)
    assert held == text.count("\n|"), "a table stands outside of <!-- marks -->"
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert {table[1] for table in tables} == set(re.findall(r'rows\("snntorch\.md", "(\w+)"\)', tests))


@pytest.mark.usefixtures("one_thread", "plain_torch")
def test_neurons_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    known = set(MODELS)
    names: dict[str, object] = {"__name__": "__main__"}
    found = blocks("own_neurons.md")
    try:
        for line, text in found:
            exec(compile("\n" * line + text, "own_neurons.md", "exec"), names)
    finally:
        for name in set(MODELS) - known:
            del MODELS[name]
    assert len(found) > 10
    assert ExportError is names["snn"].errors.ExportError  # type: ignore[attr-defined]
    assert "NIR has no form for the equations of AdaptiveLIF; its neurons are" in capsys.readouterr().out


@pytest.mark.usefixtures("one_thread", "plain_torch")
def test_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    found = blocks("report.md")
    for line, text in found:
        exec(compile("\n" * line + text, "report.md", "exec"), names)
    assert len(found) == 4
    assert "simulated, bit-true to lava-nc" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} >= {"report.html", "network.png"}


@pytest.mark.usefixtures("one_thread", "plain_torch")
def test_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    found = blocks("training.md")
    for line, text in found:
        exec(compile("\n" * line + text, "training.md", "exec"), names)
    assert len(found) == 7
    _, listed = (ROOT / "docs" / "training.md").read_text().split("The keys:\n")
    keys = re.findall(r"^`(\w+)`", listed, re.MULTILINE)
    assert [*KEYS] == keys, "every key of a config is explained, in order"


@pytest.mark.usefixtures("one_thread", "plain_torch")
@pytest.mark.parametrize("page", ["index.md", "quickstart.md"])
def test_what_a_newcomer_reads_first(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    for line, text in blocks(page):
        exec(compile("\n" * line + text, page, "exec"), names)
    if page == "quickstart.md":
        right = re.search(r"^([\d.]+)% right$", capsys.readouterr().out, re.MULTILINE)
        assert right is not None
        assert float(right[1]) > 85
        assert names["found"].ok
        assert Path("digits.snn").exists()
