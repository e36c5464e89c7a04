"""A worker in an environment that has a module ``poptorch``, as a user's Poplar environment has."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from ipu_calls import compiled, data, job_of, network

import snnhw as snn
from snnhw.errors import DeviceError, PluginUnavailable
from snnhw_ipu.link import InWorker
from snnhw_ipu.options import IpuOptions
from snnhw_ipu.probe import probe

STANDS_IN = """
import os

print("Graph compilation: 100%")
os.write(1, b"and the SDK itself writes, too\\n")
from snnhw_ipu_worker.double import *
from snnhw_ipu_worker.double import optim

__version__ = "3.4.0"


def ipuHardwareIsAvailable(num_ipus=1):
    return True
"""
"""The emulator under PopTorch's name: everything is as on an IPU but for the SDK, chatter included."""


def environment(folder: Path, poptorch: str | None) -> str:
    """An interpreter that finds this module."""
    if poptorch is not None:
        (folder / "poptorch.py").write_text(poptorch)
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={folder} exec {sys.executable} "$@"\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    return str(python)


ASSERTION = "This version of PopTorch only works with torch==2.0.1 but the version installed is 2.6.0"
WRONG_TORCH = f"raise AssertionError({ASSERTION!r})"


@pytest.mark.parametrize(
    ("poptorch", "wanted"),
    [
        (None, ("missing", "python has no PopTorch", "python -m pip install $POPLAR_SDK/poptorch-*.whl")),
        (WRONG_TORCH, ("broken", "only works with torch==2.0.1", "python -m pip install torch==2.0.1")),
        ("raise ImportError('without an active Poplar SDK')", ("broken", "SDK is not enabled", "enable.sh")),
        ("def ipuHardwareIsAvailable(): return False", ("no device", "no IPU is attached", "ipu_model=true")),
        (STANDS_IN, ("ready", "", "")),
    ],
    ids=["missing", "torch", "sdk", "none", "ready"],
)
def test_a_worker_finds_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, poptorch: str | None, wanted: tuple[str, str, str]
) -> None:
    status, words, mend = wanted
    for name in ("SNNHW_IPU_PYTHON", "POPTORCH_IPU_MODEL", "POPTORCH_SMALL_IPU_MODEL"):
        monkeypatch.delenv(name, raising=False)
    found = probe(IpuOptions(python=environment(tmp_path, poptorch)))
    assert found.status == status
    assert words in found.reason
    assert mend in found.install
    if status == "no device":
        model = probe(IpuOptions(python=str(tmp_path / "python"), ipu_model=True))
        assert (model.status, model.device) == ("ready", "IPU model (the SDK's simulator)")
    if status == "ready":
        assert found.version == "poptorch 3.4.0"
        assert str(tmp_path) in found.device


@pytest.mark.parametrize(
    ("poptorch", "message"),
    [
        (WRONG_TORCH, r"(?s)only works with torch==2.0.1.*To mend it: .*python -m pip install torch==2.0.1"),
        (None, r"(?s)has no PopTorch.*To mend it: .*python -m pip install \$POPLAR_SDK"),
    ],
)
def test_compiling_where_it_cannot_run_says_what_mends_it(
    tmp_path: Path, poptorch: str | None, message: str
) -> None:
    python = environment(tmp_path, poptorch)
    with pytest.raises(PluginUnavailable, match=message):
        snn.compile(
            torch.nn.Linear(2, 2), torch.zeros(1, 2), backend="ipu", time_steps=1, options={"python": python}
        )


def test_a_wrong_torch_ends_opening_too(tmp_path: Path) -> None:
    """Whoever goes past the probe is told all the same."""
    program, params = network()
    job = job_of(program, emulate=False, python=environment(tmp_path, WRONG_TORCH))
    with pytest.raises(DeviceError, match="AssertionError: This version of PopTorch only works with"):
        compiled(program, params, job)


def test_the_whole_way_but_for_the_sdk(tmp_path: Path) -> None:
    program, params = network()
    python = environment(tmp_path, STANDS_IN)
    x, y = data()
    curves, outputs, written = [], [], []
    for options in ({"emulate": False, "python": python}, {"emulate": True}):
        with compiled(program, params, job_of(program, **options)) as executable:
            curves.append([executable.step({"x": x}, {"target": y}).loss for _ in range(3)])
            outputs.append(executable.run({"x": x}).outputs["output"])
            if not options["emulate"]:
                assert isinstance(executable._link, InWorker)
                written = list(executable._link.worker._channel._errors)
    assert curves[0] == curves[1]
    assert np.array_equal(outputs[0], outputs[1])
    assert "Graph compilation: 100%" in written  # to standard error: it does not meet the answers
    assert "and the SDK itself writes, too" in written
