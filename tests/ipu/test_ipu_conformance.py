"""The emulated IPU, held to the reference: a part of the suite; all of it when slow tests are asked for."""

from __future__ import annotations

import sys

import pytest
import torch
from ipu_calls import backend

from snnhw.conformance import run_on

LABEL = f"emulated on torch {torch.__version__}, Python {sys.version.split()[0]}"

QUICK = (
    "exact/Leaky-subtract-delayed",
    "exact/Upsample",
    "exact/WinnerTakeAll",
    "pointwise/Synaptic-zero",
    "gradient/MaxPool",
    "gradient/BatchNorm",
    "gradient/Dropout",
    "gradient/loss-",
    "training/accumulated",
    "law/resumes",
    "law/splits",
    "law/fits",
    "law/reschedules",
)


@pytest.mark.parametrize("select", QUICK)
def test_the_emulator_passes_a_part_of_the_suite(select: str) -> None:
    report = run_on(backend(), {"emulate": "true"}, select=select)
    assert report.label == LABEL
    assert [case for case in report.cases if case.outcome == "failed"] == []
    assert report.ok


@pytest.mark.slow
def test_the_emulator_passes_all_of_the_suite_and_declines_nothing() -> None:
    report = run_on(backend(), {"emulate": True})
    assert [case for case in report.cases if case.outcome != "passed"] == []
