"""The tutorial's script: the same curve on the emulated IPU as on the CPU."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ipu_calls import backend

import snnhw as snn
import snnhw.functional as SF
from snnhw import registry

SCRIPT = Path(__file__).parents[2] / "examples" / "ipu_mnist.py"


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An editable install may be older than the entry point."""
    known = registry.backend

    def find(name: str, options: object = None) -> object:
        return backend() if name == "ipu" else known(name, options)  # type: ignore[arg-type]

    monkeypatch.setattr(registry, "backend", find)


def curve(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> list[float]:
    """The losses that the network of the script reaches, in full precision."""
    from snnhw.nn.model import Model

    losses: list[float] = []
    step = Model.step

    def watched(self: Model, *args: object) -> object:
        found = step(self, *args)  # type: ignore[arg-type]
        losses.append(found[0])
        return found

    monkeypatch.setattr(Model, "step", watched)
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    monkeypatch.setattr(Model, "step", step)
    return losses


def _same(monkeypatch: pytest.MonkeyPatch, updates: int, hidden: int, batch: int) -> None:
    size = ["--updates", str(updates), "--hidden", str(hidden), "--batch", str(batch)]
    cpu = curve(monkeypatch, "--backend", "cpu", *size)
    ipu = curve(monkeypatch, "--backend", "ipu", "-o", "emulate=true", *size)
    assert len(cpu) == updates
    # sums in another order, 25 steps through two layers, and Adam divides by what may be small
    assert torch.allclose(torch.tensor(ipu), torch.tensor(cpu), rtol=1e-4, atol=0.0)
    assert cpu[-1] < cpu[0]


@pytest.mark.usefixtures("plain_torch")
def test_the_curve_is_the_cpu_s(monkeypatch: pytest.MonkeyPatch) -> None:
    _same(monkeypatch, updates=50, hidden=20, batch=16)


@pytest.mark.slow
def test_at_full_size_every_update_is_the_cpu_s() -> None:
    """Left to themselves, the two part after some tens of updates: their weights differ in the last bit, and
    an update asks three million times whether a neuron fires. So each update starts from the CPU's weights.
    """
    script = runpy.run_path(str(SCRIPT))
    x, y = script["images"](None)
    models = []
    wanted: dict[str, dict[str, object]] = {"cpu": {}, "ipu": {"emulate": True}}
    for name, options in wanted.items():
        torch.manual_seed(0)
        models.append(
            snn.compile(
                script["Net"](x.shape[1], 1000),
                x[:128],
                backend=name,
                time_steps=script["TIME_STEPS"],
                static=True,
                loss=SF.ce_count_loss(),
                optimizer=snn.optim.Adam(lr=1e-3),
                options=options,
            )
        )
    cpu, ipu = models
    with cpu, ipu:
        for _ in range(50):
            ipu.executable.set_params(cpu.params)
            rows = torch.randint(len(x), (128,))
            found: list[Any] = [each.step(x[rows], y[rows]) for each in models]
            (loss, spikes), (ours, our_spikes) = found
            assert ours == pytest.approx(loss, rel=1e-6)
            assert torch.equal(our_spikes, spikes)
            now = ipu.params
            for key, array in cpu.params.items():  # Adam moves each by about its rate, 1e-3
                assert float(np.abs(np.subtract(now[key], array)).max()) <= 1e-6, key


FIRST_RUN = SCRIPT.with_name("ipu_first_run.py")


def test_every_check_of_the_first_run_is_explained() -> None:
    page = (SCRIPT.parents[1] / "docs" / "ipu.md").read_text(encoding="utf-8")
    checks = runpy.run_path(str(FIRST_RUN))["checks"]([], 250, "")
    assert len(checks) == 8
    for name in checks:
        ending = "json" if name.startswith("conformance") else "txt"
        assert f"`{name}.{ending}`" in page, name


@pytest.mark.slow
def test_the_first_run_can_be_tried_without_an_ipu(tmp_path: Path) -> None:
    command = [
        sys.executable,
        str(FIRST_RUN),
        "-o",
        "emulate=true",
        "--updates",
        "2",
        "--folder",
        str(tmp_path),
    ]
    done = subprocess.run(
        [*command, "--select", "exact/Leaky-subtract-delayed"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("ok ") == 8
    assert "on 'ipu' (emulated on torch" in (tmp_path / "tutorial-half.txt").read_text(encoding="utf-8")
