"""The scripts in ``examples/`` run as they stand, but for fewer epochs."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name: str, where: Path, *, fewer: tuple[str, str] = ("", "")) -> str:
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    assert fewer[0] in text
    (where / name).write_text(text.replace(*fewer, 1), encoding="utf-8")
    command = [sys.executable, "-W", "error", name]
    return subprocess.run(command, cwd=where, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_digits(tmp_path: Path) -> None:
    shown = run("digits.py", tmp_path, fewer=(" 12, 64, 20", " 2, 64, 20"))
    assert [line.split(":")[0] for line in shown.splitlines()] == ["epoch  1", "epoch  2"]
    assert (tmp_path / "digits.snn").exists()


def imported(name: str, monkeypatch: pytest.MonkeyPatch, **settings: int) -> Any:
    """An example as a module, with smaller settings."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    module = importlib.import_module(name)
    for key, value in settings.items():
        assert hasattr(module, key)
        monkeypatch.setattr(module, key, value)
    return module


@pytest.mark.usefixtures("one_thread", "plain_torch")
def test_both_loops_run_on_events(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A few batches; what they come to after all of them, a slow test says."""
    events = imported("events", monkeypatch, SAMPLES=64, EPOCHS=1, BATCH=16, TIME_STEPS=10)
    events.main()
    seen = r"^(\w+): [\d.]+% of the directions, with (\d+) spikes and ([\d,]+) of ([\d,]+) operations"
    told = re.findall(seen, capsys.readouterr().out, re.MULTILINE)
    assert [name for name, *_ in told] == ["with_fit", "with_torch"]
    for _, *figures in told:
        spikes, effective, dense = (int(figure.replace(",", "")) for figure in figures)
        assert 0 < spikes < effective < dense
    x, y = next(iter(events.streams(2, seed=3)))
    assert x.shape == (10, 2, 16, 16)
    assert set(x.unique().tolist()) == {0, 1}
    assert 0 <= int(y) < 8


@pytest.mark.usefixtures("one_thread", "plain_torch")
def test_both_loops_learn_values_over_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    imported("regression", monkeypatch, SAMPLES=128, EPOCHS=5).main()
    told = re.findall(r"^(\w+): R squared (-?[\d.]+)$", capsys.readouterr().out, re.MULTILINE)
    assert [name for name, _ in told] == ["with_step", "with_torch"]
    assert all(float(explained) > 0.4 for _, explained in told), told


@pytest.mark.slow
def test_events_and_regression_reach_what_they_state(tmp_path: Path) -> None:
    for name, figure, factor in (
        ("events.py", r": ([\d.]+)%", 1),
        ("regression.py", r"squared ([\d.]+)", 100),
    ):
        stated = re.search(r"at least\s+(\d+) %", (EXAMPLES / name).read_text(encoding="utf-8"))
        assert stated is not None
        reached = [factor * float(each) for each in re.findall(figure, run(name, tmp_path))]
        assert len(reached) == 2
        assert min(reached) >= float(stated[1]), (name, reached)


@pytest.mark.slow
def test_a_network_goes_to_two_chips(tmp_path: Path) -> None:
    shown = run("to_chip.py", tmp_path, fewer=(" 40, 96, 20", " 3, 96, 20"))
    said = [line for line in shown.splitlines() if "in the chip's integers" in line]
    assert [line.split(":")[0] for line in said] == ["loihi2", "xylo-a3"]
    assert all("integers compared, 0 differ" in line for line in shown.splitlines() if "compared" in line)


@pytest.mark.slow
def test_both_loops_of_ones_own_agree(tmp_path: Path) -> None:
    first, second = re.findall(r"loss (\d\.\d+)", run("own_loop.py", tmp_path))
    assert float(first) == pytest.approx(float(second), rel=1e-4)


@pytest.mark.slow
def test_neurons_of_ones_own_agree_everywhere(tmp_path: Path) -> None:
    head, *rows = [line.split() for line in run("custom_neuron.py", tmp_path).splitlines()]
    assert head[:4] == ["neuron", "backend", "spikes", "differ"]
    assert {row[0] for row in rows} == {"AdaptiveLIF", "Izhikevich"}
    assert {row[1] for row in rows} >= {"cpu", "reference"}
    for _, _, spikes, differ, gradient in rows:
        assert int(spikes) > 20
        assert int(differ) == 0
        assert float(gradient) < 1e-4  # float32, through twenty steps


@pytest.mark.slow
def test_to_nir(tmp_path: Path) -> None:
    shown = run("to_nir.py", tmp_path, fewer=('"snntorch", 8', '"snntorch", 2'))
    assert "written: digits.nir" in shown
    assert re.search(r"^cpu: \d+ compared, every spike as in the reference$", shown, re.MULTILINE)
    assert (tmp_path / "digits.nir").exists()
