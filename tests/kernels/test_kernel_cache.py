"""Where emitted sources and machine code are kept, and what must not be trusted."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from snnhw_cpu import cache

SCRIPT = """
import torch
from snnhw.ir import MODELS, Neuron
from snnhw.tensors import run_scan
from snnhw_cpu.kernel import COMPILED
from snnhw_cpu.provider import NumbaProvider
params = {"beta": torch.tensor(0.9), "threshold": torch.tensor(1.0)}
x = torch.ones(2, 3, 4)
step = Neuron(MODELS["Leaky"]).step()
run_scan(step, {"x": x}, params, {}, steps=2, outputs=("spk",), provider=NumbaProvider())
print(COMPILED)
"""


def in_a_new_process(folder: Path) -> str:
    environment = {**os.environ, "SNNHW_CACHE_DIR": str(folder)}
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True
    )
    return run.stdout.strip()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("SNNHW_CACHE_DIR", str(tmp_path))
    cache._folder.cache_clear()
    yield tmp_path
    cache._folder.cache_clear()


def test_a_second_process_compiles_nothing(tmp_path: Path) -> None:
    assert in_a_new_process(tmp_path) == "['forward']"
    assert in_a_new_process(tmp_path) == "[]"


def test_a_changed_source_file_is_written_again(folder: Path) -> None:
    cache.load_module("value = 1\n", "probe")
    (kept,) = folder.rglob("probe_*.py")
    kept.write_text("value = 2\n")
    assert cache.load_module("value = 1\n", "probe").value == 1


@pytest.mark.usefixtures("folder")
def test_a_folder_that_others_may_write_is_not_used() -> None:
    own = cache._folder()
    cache._folder.cache_clear()
    own.chmod(0o777)
    assert cache._folder() != own
    assert cache._folder().stat().st_mode & 0o077 == 0


def test_a_folder_that_cannot_be_made_is_no_reason_to_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("SNNHW_CACHE_DIR", str(blocked / "below"))
    cache._folder.cache_clear()
    assert cache._folder().is_dir()
    cache._folder.cache_clear()
