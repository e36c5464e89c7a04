"""Each finding is a script that anybody can run: pinned, without snnhw, and in a folder of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from source import ROOT

FOLDER = ROOT / "findings"
SCRIPTS = sorted(FOLDER.glob("*.sh"))
INSTALL = re.compile(r"pip\" install --quiet (.*)")


def test_there_are_some() -> None:
    assert len(SCRIPTS) >= 3
    assert {path.name for path in FOLDER.iterdir()} == {"README.md", *(path.name for path in SCRIPTS)}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_finding_can_be_run_as_it_stands(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert os.access(path, os.X_OK)
    assert text.startswith("#!/usr/bin/env bash\n# ")
    for line in ("set -euo pipefail", "scratch=$(mktemp -d)", "trap 'rm -rf \"$scratch\"' EXIT"):
        assert f"\n{line}\n" in text
    assert "# Seen with Python 3." in text
    assert 'diff "$scratch/expected" "$scratch/seen"\n' in text
    code = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    assert not re.search(r"\bsnnhw", code)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_what_a_finding_installs_is_pinned(path: Path) -> None:
    (installed,) = INSTALL.findall(path.read_text(encoding="utf-8").replace("\\\n", " "))
    packages = installed.split()
    assert packages
    assert all(re.fullmatch(r'"[a-z0-9-]+==[0-9.]+"', package) for package in packages), packages


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_finding_is_bash_and_its_python_is_python(path: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    subprocess.run([bash, "-n", str(path)], check=True)
    (script,) = re.findall(r"<<'PYTHON'\n(.*?)\nPYTHON\n", path.read_text(encoding="utf-8"), re.DOTALL)
    compile(script, path.name, "exec")


def test_the_readme_lists_each() -> None:
    rows = re.findall(
        r"^\| \[`(\S+)`\]\((\S+)\) \|", (FOLDER / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert rows == [(path.name, path.name) for path in SCRIPTS]
