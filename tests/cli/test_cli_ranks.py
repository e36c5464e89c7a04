"""``torchrun ... -m snnhw train``: the digits in one process, killed and resumed, and in two."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_calls import ENVIRONMENT
from source import ROOT
from torch import distributed

from snnhw import ir

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (distributed.is_available() and distributed.is_gloo_available()),
        reason="this torch was built without gloo, through which processes on CPUs talk",
    ),
]

DIGITS = ROOT / "examples" / "digits.toml"
LAUNCH = ("-m", "torch.distributed.run", "--nproc-per-node", "2")


def command(*arguments: str | Path, launch: tuple[str, ...] = ()) -> list[str]:
    return [sys.executable, *launch, "-m", "snnhw", *map(str, arguments)]


def ended(*arguments: str | Path, launch: tuple[str, ...] = ()) -> str:
    environment = {**ENVIRONMENT, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command(*arguments, launch=launch), env=environment, capture_output=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


@contextmanager
def running(*arguments: str | Path, launch: tuple[str, ...] = ()) -> Iterator[subprocess.Popen[str]]:
    environment = {**ENVIRONMENT, "OMP_NUM_THREADS": "1"}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command(*arguments, launch=launch), env=environment, **pipes)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def until(process: subprocess.Popen[str], start: str) -> None:
    assert process.stdout is not None
    assert any(line.startswith(start) for line in process.stdout), "it ended before"


def history(folder: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def workers(process: subprocess.Popen[str]) -> list[int]:
    """Processes that torchrun has started, the first rank first."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return sorted(map(int, children))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In one process, never stopped."""
    out = tmp_path_factory.mktemp("digits") / "run"
    ended("train", DIGITS, "--out", out)
    return out


def test_it_reaches_the_demos_accuracy(whole: Path) -> None:
    assert max(row["validation_accuracy"] for row in history(whole)) > 0.97


def test_killed_and_resumed_it_is_the_same_in_every_bit(whole: Path, tmp_path: Path) -> None:
    with running("train", DIGITS, "--out", tmp_path) as process:
        until(process, "    3 ")
        process.send_signal(signal.SIGKILL)
    ended("resume", tmp_path)
    assert history(tmp_path) == history(whole)
    found, wanted = (ir.load(folder / "model.snn")[1] for folder in (tmp_path, whole))
    assert all(np.array_equal(found[key], wanted[key]) for key in wanted)


def test_two_processes_learn_what_one_learns(whole: Path, tmp_path: Path) -> None:
    """Spikes near threshold fall otherwise where sums round otherwise; what is learnt is as good."""
    said = ended("train", DIGITS, "--out", tmp_path, launch=LAUNCH)
    assert said.startswith(f"Model on 'cpu', 2 processes, in '{tmp_path}'")
    found, wanted = history(tmp_path), history(whole)
    assert [(row["epoch"], row["steps"], row["samples"]) for row in found] == [
        (row["epoch"], row["steps"], row["samples"]) for row in wanted
    ]
    np.testing.assert_allclose(found[0]["loss"], wanted[0]["loss"], rtol=0.01)
    assert max(row["validation_accuracy"] for row in found) > 0.97


def test_a_rank_that_is_killed_ends_the_job_with_an_error_that_names_it(tmp_path: Path) -> None:
    with running("train", DIGITS, "--out", tmp_path, launch=LAUNCH) as process:
        until(process, "    1 ")
        os.kill(workers(process)[1], signal.SIGKILL)
        _, complaint = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "rank" in complaint
    assert "Signal 9 (SIGKILL)" in complaint
    ended("resume", tmp_path)  # in one process, from what rank 0 saved
    assert len(history(tmp_path)) == 12


def test_the_elastic_agent_starts_it_again_from_the_newest_checkpoint(tmp_path: Path) -> None:
    launch = (*LAUNCH, "--max-restarts", "2")
    with running("train", DIGITS, "--out", tmp_path, launch=launch) as process:
        until(process, "    2 ")
        os.kill(workers(process)[1], signal.SIGKILL)
        said, complaint = process.communicate(timeout=400)
    assert process.returncode == 0, complaint
    assert said.count("2 processes, in '") == 1, "it was started again"
    assert [row["epoch"] for row in history(tmp_path)] == [*range(1, 13)]


def test_a_signal_stops_all_with_one_line(tmp_path: Path) -> None:
    with running("train", DIGITS, "--out", tmp_path, launch=LAUNCH) as process:
        until(process, "    2 ")
        process.send_signal(signal.SIGTERM)
        _, complaint = process.communicate(timeout=120)
    assert complaint.count(f"all of it is saved: `snnhw resume {tmp_path}` goes on") == 1
    ended("resume", tmp_path, launch=LAUNCH)
    assert len(history(tmp_path)) == 12
