"""sinabs as a reader: equal where its neurons are NIR's; elsewhere apart, as is said of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nir_calls import FORMAT, Array, drive, neuron
from typer.testing import CliRunner

from snnhw import registry
from snnhw.cli import app
from snnhw.errors import DeviceError
from snnhw.ir import Input, Linear, Params, Program, init_params, sequential
from snnhw.ir.files import save
from snnhw.verify import Held, verify
from snnhw_nir.simulators.readers import SinabsReader
from snnhw_nir.targets.dialects import APART
from snnhw_reference.plugin import ReferenceBackend

SINABS = SinabsReader()
HABITS = APART["sinabs"].habits
B, N = 2, 4


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this checkout were installed, with its entry points."""
    doors: dict[str, Any] = {
        "reader": lambda name, *_: SINABS,
        "file_format": lambda name: FORMAT,
        "backend": lambda name, *_: ReferenceBackend(),
    }
    for door, opened in doors.items():
        monkeypatch.setattr(registry, door, opened)


@pytest.fixture
def _real() -> None:
    probe = SINABS.probe()
    if not probe.ready:
        pytest.skip(f"sinabs: {probe.reason}; {probe.install}")


def net(beta: float, *, bias: bool = True) -> tuple[Program, Params]:
    """Neurons that hear one input each, as it is, and are set to 0 by a spike, with threshold 1."""
    layers = {"x": Input((N,)), "fc": Linear(N, N, bias=bias), "lif": neuron("Leaky")}
    program = sequential(layers)
    params = init_params(program, given={"lif.beta": beta})
    given: Params = {"fc.weight": np.eye(N, dtype=np.float32), "fc.bias": np.zeros(N, np.float32)}
    return program, {key: given.get(key, params[key]) for key in params}


def held(beta: float, x: Array) -> Held:
    return verify(*net(beta), {"x": x}, ("sinabs@nir",), time_steps=len(x)).held[0]


def steady(*values: float) -> Array:
    """The same for every neuron, step by step."""
    return np.broadcast_to(np.array(values, np.float32)[:, None, None], (len(values), B, N)).copy()


@pytest.mark.usefixtures("_real")
def test_equal_where_nothing_tells_them_apart() -> None:
    """Neurons that remember nothing, below twice their threshold and never exactly at it."""
    x = (np.random.default_rng(0).integers(0, 16, (40, B, N)) + 0.5).astype(np.float32) / 8
    found = held(0.0, x)
    assert found.ok
    assert found.parity.spikes_compared == x.size
    assert found.parity.spikes_fired == np.count_nonzero(x > 1) > 0
    assert found.missing == ()


APARTS: Mapping[str, tuple[float, tuple[float, ...], int]] = {
    "tau in steps, no gain": (0.5, (0.75, 0.75, 0.75, 0.75), 2),  # here 0.75, 1.125; there always 0.75
    "subtraction": (1.0, (0.75, 0.75, 0.75, 0.75), 1),  # here at steps 1 and 3; there at 1, 2 and 3
    "several at once, and at the threshold": (0.0, (1.5, 2.5, 1.0, 3.5), 3),  # there 1, 2, 1 and 3
    "a floor": (1.0, (-3.0, 1.25, 0.5, 0.5), 1),  # here -0.75 at last; there -1, 0.25, 0.75, 1.25
}
"""What tells them apart -> beta, what comes in at each step, and at how many steps spikes differ."""


@pytest.mark.usefixtures("_real")
@pytest.mark.parametrize("what", APARTS)
def test_apart_as_is_said(what: str) -> None:
    beta, values, steps = APARTS[what]
    found = held(beta, steady(*values))
    assert not found.ok
    assert found.parity.spike_mismatches == steps * B * N
    assert found.known == HABITS


@pytest.mark.usefixtures("_real")
def test_what_it_would_leave_out_is_refused() -> None:
    program, params = net(0.0, bias=False)
    (found,) = verify(program, params, {"x": steady(1.5)}, ("sinabs@nir",), time_steps=1).held
    assert (found.loads, found.runs, found.ok) == (False, False, False)
    assert "ValueError: sinabs reads no Linear, and would leave it out" in found.failure


def test_why_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where spikes differ, and nowhere else."""
    save(tmp_path / "net.snn", *net(0.0))
    x = drive(5, B, N)
    np.save(tmp_path / "x.npy", x)
    given = ["verify", str(tmp_path / "net.snn"), "--on", "sinabs@nir", "--inputs", str(tmp_path / "x.npy")]
    for spikes, shown in ((np.zeros_like(x), True), ((x > 1).astype(np.float32), False)):
        monkeypatch.setattr(SinabsReader, "run", lambda *_, made=spikes, **__: {"lif.spk": made})
        done = CliRunner().invoke(app, given)
        assert done.exit_code == int(shown), done.output
        assert ("What is known of sinabs@nir, which may be why:" in done.output) is shown
        assert all((habit in done.output) is shown for habit in HABITS)


def test_without_sinabs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'sinabs'\" >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setenv("SNNHW_SINABS_PYTHON", str(python))
    probe = SINABS.probe()
    assert (probe.status, probe.reason) == ("missing", "ModuleNotFoundError: No module named 'sinabs'")
    assert "pip install nir nirtorch pbr && pip install --no-deps sinabs, or point" in probe.install
    assert probe.install.endswith("or point SNNHW_SINABS_PYTHON to a Python that has them")
    FORMAT.write(*net(0.5), tmp_path / "net.nir")
    with pytest.raises(DeviceError, match="reader 'sinabs' failed: ModuleNotFoundError"):
        SINABS.run(tmp_path / "net.nir", {"x": steady(1.0)}, ())
