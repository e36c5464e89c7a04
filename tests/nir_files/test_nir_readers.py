"""Simulators as readers: verify runs a network in them and compares, layer by layer."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nir_calls import FORMAT, dense, drive, neuron, spikes

from snnhw import registry
from snnhw.conformance.verify import verify
from snnhw.errors import DeviceError, ExportError, InputError
from snnhw.plugin import Reader
from snnhw_nir.readers import WORKER, NirReader, NorseReader, SnnTorchReader, SpikingJellyReader
from snnhw_reference.plugin import ReferenceBackend

READERS = {made.name: made() for made in (NorseReader, SnnTorchReader, SpikingJellyReader)}


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this checkout were installed, with its entry points."""
    doors: dict[str, Any] = {
        "reader": READERS.__getitem__,
        "file_format": lambda name: FORMAT,
        "backend": lambda name, *_: ReferenceBackend(),
    }
    for door, opened in doors.items():
        monkeypatch.setattr(registry, door, opened)


@pytest.mark.parametrize("name", READERS)
def test_verify_runs_the_simulator(name: str) -> None:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    program, params = dense()
    x = {"input": drive(25, 2, 4)}
    found = verify(program, params, x, ("reference", f"{name}@nir"), time_steps=25)
    held = found.held[1]
    assert held.ok
    assert held.label == "read from nir"
    assert {layer for layer, parity in held.layers.items() if parity.spikes_compared} == {"lif1", "lif2"}
    assert set(held.missing) == {"lif1.mem", "lif2.mem"}


def test_a_network_that_the_simulator_misreads_is_refused() -> None:
    net = dense(neuron("Leaky", "subtract", "delayed"))
    with pytest.raises(ExportError, match="lif1: reset by subtraction becomes reset to 0"):
        verify(*net, {"input": drive(5, 2, 4)}, ("snntorch@nir",), time_steps=5)


def fake(tmp_path: Path, script: str) -> str:
    """An interpreter that runs a script of ours, whatever it is given."""
    path = tmp_path / "python"
    path.write_text(f"#!{sys.executable}\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_an_interpreter_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNNHW_NORSE_PYTHON", fake(tmp_path, "print('a banner\\n1.1.0')"))
    probe = READERS["norse"].probe()
    assert probe.ready
    assert probe.version == "norse 1.1.0"


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNNHW_NORSE_PYTHON", fake(tmp_path, "import sdk_of_nobody"))
    probe = READERS["norse"].probe()
    assert probe.status == "missing"
    assert probe.reason == "ModuleNotFoundError: No module named 'sdk_of_nobody'"
    assert probe.install.endswith("or point SNNHW_NORSE_PYTHON to a Python that has them")
    monkeypatch.setenv("SNNHW_NORSE_PYTHON", str(tmp_path / "none"))
    assert READERS["norse"].probe().status == "broken"


def test_a_simulator_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNNHW_SNNTORCH_PYTHON", fake(tmp_path, "raise ValueError('no such neuron')"))
    with pytest.raises(DeviceError, match="reader 'snntorch' failed: ValueError: no such neuron"):
        READERS["snntorch"].run(tmp_path / "net.nir", {"input": drive(2, 1, 4)}, ())


def test_several_inputs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="reader 'norse' takes networks of one input, not a, b"):
        READERS["norse"].run(tmp_path / "net.nir", {"a": drive(1, 1), "b": drive(1, 1)}, ())


def test_readers_are_readers() -> None:
    assert all(isinstance(reader, Reader) and isinstance(reader, NirReader) for reader in READERS.values())


def test_the_worker_needs_nothing_of_ours(tmp_path: Path) -> None:
    """It runs in an interpreter where snnhw is not installed."""
    FORMAT.write(*dense(), tmp_path / "net.nir", target="snntorch")
    x = drive(10, 3, 4)
    np.save(tmp_path / "x.npy", x)
    block = "import runpy, sys; sys.modules['snnhw'] = None; "
    block += f"runpy.run_path({str(WORKER)!r}, run_name='__main__')"
    arguments = ["snntorch", "net.nir", "x.npy", "made.npz", "lif2.spk"]
    subprocess.run([sys.executable, "-c", block, *arguments], cwd=tmp_path, check=True, capture_output=True)
    with np.load(tmp_path / "made.npz") as made:
        assert np.array_equal(made["lif2.spk"], spikes(dense(), x))
