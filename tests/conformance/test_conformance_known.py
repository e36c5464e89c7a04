"""The list of failures that a backend's author knows of."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import cast

import pytest

from snnhw.conformance.known import FILE, known_failures, parse
from snnhw.errors import InputError
from snnhw.plugin import Backend

IDS = ("exact/Linear-bias", "law/splits-dense")


def test_a_line_names_a_case_and_says_why() -> None:
    text = "# what is known\n\nexact/Linear-bias  # the bias is added twice, https://example.org/1\n"
    assert parse(text, IDS) == {"exact/Linear-bias": "the bias is added twice, https://example.org/1"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "exact/Linear-bais  # why, https://example.org",
            "line 1: there is no conformance case 'exact/Linear-bais'. Did you mean 'exact/Linear-bias'?",
        ),
        (
            "\nlaw/splits-dense",
            "line 2: give a reason and a link, as in 'law/splits-dense  # why, https://...'",
        ),
        ("law/splits-dense  # no link", "line 1: give a reason and a link"),
        (
            "law/splits-dense # a, https://b\nlaw/splits-dense # c, https://d",
            "line 2: 'law/splits-dense' is listed twice",
        ),
    ],
)
def test_a_line_that_makes_no_sense_is_an_error(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(text, IDS)
    assert message in str(caught.value)


def test_the_file_lies_next_to_the_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("chip_plugin")
    module.__file__ = str(tmp_path / "plugin.py")
    monkeypatch.setitem(__import__("sys").modules, "chip_plugin", module)
    plugin = cast("Backend", type("Chip", (), {"__module__": "chip_plugin"})())
    assert known_failures(plugin, IDS) == {}
    (tmp_path / FILE).write_text("law/splits-dense  # the state is lost, https://example.org/2\n")
    assert known_failures(plugin, IDS) == {"law/splits-dense": "the state is lost, https://example.org/2"}
