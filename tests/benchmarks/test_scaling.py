"""The measurement of scaling works; it says nothing about speed here."""

from __future__ import annotations

import subprocess
import sys

import pytest
from source import ROOT


@pytest.mark.slow
def test_it_prints_both_ratios() -> None:
    command = [sys.executable, "-m", "benchmarks.scaling", "--hidden", "8", "--rounds", "1", "--steps", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=200, check=True)
    heading, each, together = done.stdout.decode().splitlines()
    assert heading == "784-8-10, T=25, B=64 a process; alone / 2 processes"
    assert each.startswith("each for itself  ")
    assert together.startswith("one network      ")
