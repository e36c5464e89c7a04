"""Tutorials are scripts: each runs, and reaches the figure that it states."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import matplotlib as mpl
import pytest
from source import ROOT

SCRIPTS = sorted((ROOT / "examples" / "tutorials").glob("*.py"))
NAMES = [script.stem for script in SCRIPTS if script.stem != "settings"]


def ran(name: str, *told: str) -> tuple[dict[str, float], dict[str, float]]:
    """What it wants to reach, and what it reached."""
    script = ROOT / "examples" / "tutorials" / f"{name}.py"
    with pytest.MonkeyPatch.context() as patch, mpl.rc_context():
        patch.syspath_prepend(str(script.parent))
        patch.setattr(sys, "argv", [str(script), *told])
        patch.setattr("matplotlib.pyplot.show", lambda: None)
        from matplotlib import pyplot as plt

        plt.switch_backend("agg")
        found = runpy.run_path(str(script), run_name="__main__")
        plt.close("all")
    assert found["AIM"].keys() == found["REACHED"].keys()
    return found["AIM"], found["REACHED"]


def holds(name: str, aim: float, reached: float) -> bool:
    """Errors are at most, all else is at least what is aimed at."""
    return reached <= aim if re.search("error|worst", name) else reached >= aim


@pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)
@pytest.mark.usefixtures("one_thread", "plain_torch")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["small", "whole"])
def test_it_runs_and_reaches_what_it_says(
    name: str, whole: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    aims, reached = ran(name, *([] if whole else ["--small"]))
    missed = {what: reached[what] for what, aim in aims.items() if not holds(what, aim, reached[what])}
    assert not whole or missed == {}
    assert not [*tmp_path.iterdir()]  # a tutorial leaves nothing behind


def test_each_is_a_page_of_the_site() -> None:
    pages = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^tutorials/(\w+)$", pages, re.MULTILINE)) == NAMES
