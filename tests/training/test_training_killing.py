"""Nothing is lost when training is killed with -9, wherever that finds it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from killing import WAYS
from source import ROOT

from snnhw.ir import OPTIMIZERS

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows forks no process")

HERE = Path(__file__).parent


def held(kills: int, *kinds: str) -> None:
    folders = [ROOT, ROOT / "backends", ROOT / "tests", HERE]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders)), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(HERE / "killing.py"), str(kills), "7", *kinds]
    found = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
    print(found)
    assert (found["unreadable"], found["lost"], found["differ"]) == ([], [], [])
    assert found["kills"] >= kills
    assert found["resumed"] > 0


def test_a_few_kills() -> None:
    held(3, "Adam-tbptt")


@pytest.mark.slow
def test_two_hundred_kills() -> None:
    held(200, *(kind + way for kind in OPTIMIZERS for way in WAYS))
