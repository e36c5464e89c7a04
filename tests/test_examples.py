"""The scripts in ``examples/`` run as they stand, but for fewer epochs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

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
