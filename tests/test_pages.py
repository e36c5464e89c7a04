"""Every block of Python on these pages runs as it stands, one after the other, as a reader would."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from source import ROOT

from snnhw.errors import ExportError
from snnhw.ir import MODELS

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[tuple[int, str]]:
    """The line at which each block begins, and its text."""
    text = (ROOT / "docs" / page).read_text()
    return [(text.count("\n", 0, found.start(1)), found[1]) for found in BLOCK.finditer(text)]


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
