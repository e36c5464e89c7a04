"""The emulated IPU, held to the reference: a part of the suite; all of it when slow tests are asked for."""

from __future__ import annotations

import pytest
from ipu_calls import backend

from snnhw.conformance import run_on
from snnhw_ipu.link import interpreter
from snnhw_ipu.options import IpuOptions
from snnhw_ipu.process import give_back, take

QUICK = (
    "exact/Leaky-subtract-delayed",
    "exact/Upsample",
    "exact/WinnerTakeAll",
    "pointwise/Synaptic-zero",
    "gradient/MaxPool",
    "gradient/BatchNorm",
    "gradient/Dropout",
    "gradient/loss-",
    "training/Adam",
    "training/accumulated",
    "law/resumes",
    "law/lives-dense",
    "law/rounds-Linear",
    "law/splits",
    "law/fits",
    "law/reschedules",
)


@pytest.mark.parametrize("select", QUICK)
def test_the_emulator_passes_a_part_of_the_suite(select: str) -> None:
    report = run_on(backend(), {"emulate": "true"}, select=select)
    worker = take(str(interpreter(IpuOptions(emulate=True))))
    give_back(worker)
    release = str(worker.hello["torch"]).partition("+")[0]
    assert report.label == f"emulated on torch {release}, Python {worker.hello['python']}"
    assert [case for case in report.cases if case.outcome == "failed"] == []
    assert report.ok


@pytest.mark.slow
def test_the_emulator_passes_all_of_the_suite_and_declines_nothing() -> None:
    report = run_on(backend(), {"emulate": True})
    assert [case for case in report.cases if case.outcome != "passed"] == []
