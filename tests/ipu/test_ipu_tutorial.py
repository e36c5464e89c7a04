"""The tutorial's script: the same curve on the emulated IPU as on the CPU."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from ipu_calls import backend

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
    import runpy

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
def test_the_curve_is_the_cpu_s_at_full_size(monkeypatch: pytest.MonkeyPatch) -> None:
    _same(monkeypatch, updates=50, hidden=1000, batch=128)
