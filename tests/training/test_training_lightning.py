"""Lightning trains a network of our modules as torch does, unchanged; see `lightning_runs`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from source import ROOT

pytest.importorskip("lightning", reason="Lightning is not installed: pip install 'snnhw[train]'")

HERE = Path(__file__).parent


@lru_cache
def trained(form: str, processes: int = 1) -> dict[str, list[float]]:
    """Parameters after two epochs, the same on all ranks."""
    folders = [ROOT, ROOT / "backends", ROOT / "tests", HERE]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders)), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(HERE / "lightning_runs.py"), form, str(processes)]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr.decode()
    found = [json.loads(line) for line in done.stdout.decode().splitlines() if line.startswith("{")]
    assert found == [found[0]] * processes
    parameters: dict[str, list[float]] = found[0]
    return parameters


@pytest.mark.parametrize("form", ["fabric", "module"])
def test_one_process_learns_what_a_loop_of_torch_learns_in_every_bit(form: str) -> None:
    assert trained(form) == trained("plain")


@pytest.mark.parametrize("form", ["fabric", "module"])
def test_two_processes_learn_what_one_learns(form: str) -> None:
    found, wanted = trained(form, 2), trained("plain")
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-5, atol=1e-6)
