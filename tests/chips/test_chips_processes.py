"""Vendors' simulators may crash, hang or fail: each is told, and nothing of it stays."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from snnhw.errors import DeviceError
from snnhw_chips.processes import Simulator


def stand_in(folder: Path, text: str, patience: float = 60.0) -> Simulator:
    worker = folder / "worker.py"
    worker.write_text(text)
    return Simulator("vendor-tool", "sys", "SNNHW_NO_SUCH_PYTHON", worker, "pip install it", patience)


JOB = ({"weight": np.eye(2)}, {"in": np.zeros((3, 2))})

COPIES = """
import sys, numpy as np
for i in range(1, len(sys.argv), 3):
    with np.load(sys.argv[i]) as found:
        np.savez(sys.argv[i + 2], **{"seen": found["weight"] * 2})
"""


def test_results_come_back_for_each_network(tmp_path: Path) -> None:
    found = stand_in(tmp_path, COPIES).run([JOB, JOB])
    assert [np.asarray(each["seen"]).tolist() for each in found] == [[[2, 0], [0, 2]]] * 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("raise ValueError('no such neuron')", "vendor-tool failed: ValueError: no such neuron"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", r"vendor-tool crashed \(SIGSEGV\)"),
    ],
)
def test_one_that_ends_badly_is_told(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        stand_in(tmp_path, text).run([JOB])


def test_one_that_does_not_answer_is_ended_with_its_children(tmp_path: Path) -> None:
    mark = tmp_path / "alive"
    text = f"""
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(4); open({str(mark)!r}, 'w')"])
time.sleep(60)
"""
    with pytest.raises(DeviceError, match=r"did not answer in 2 s, and was ended; give fewer steps"):
        stand_in(tmp_path, text, patience=2.0).run([JOB])
    assert not mark.exists()


def test_a_python_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNNHW_NO_SUCH_PYTHON", "/no/such/python")
    found = stand_in(tmp_path, COPIES).probe()
    assert (found.status, "/no/such/python" in found.reason) == ("broken", True)
    monkeypatch.setenv("SNNHW_NO_SUCH_PYTHON", sys.executable)
