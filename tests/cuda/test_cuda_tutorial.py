"""The tutorial's script: interpreted kernels give the curve of the CPU."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest
from cuda_calls import WITH_TRITON

SCRIPT = Path(__file__).parents[2] / "examples" / "ipu_mnist.py"

pytestmark = WITH_TRITON


def losses(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> list[float]:
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    return [float(loss) for loss in re.findall(r"loss ([\d.]+)", capsys.readouterr().out)]


@pytest.mark.parametrize(
    ("updates", "hidden"),
    [(2, 30), pytest.param(60, 1000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])],
)
def test_the_curve_is_that_of_the_cpu(
    updates: int, hidden: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    size = ["--updates", str(updates), "--hidden", str(hidden)]
    ours = losses(monkeypatch, capsys, "--backend", "cuda", "-o", "interpret=true", *size)
    theirs = losses(monkeypatch, capsys, "--backend", "cpu", *size)
    assert len(ours) >= 2
    assert ours == pytest.approx(
        theirs, rel=1e-4
    )  # sums in another order, and Adam divides by what may be small
