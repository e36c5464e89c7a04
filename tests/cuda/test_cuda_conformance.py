"""The kernels as Triton's interpreter runs them, held to the reference: a part; all of it with slow tests."""

from __future__ import annotations

import pytest
from cuda_calls import INTERPRET, WITH_TRITON, backend

from snnhw.conformance import run_on

pytestmark = WITH_TRITON

QUICK = (
    "exact/Leaky-subtract-delayed",
    "exact/Leaky-zero-retest-shaped-graded-quantised",
    "pointwise/Synaptic-zero-delayed",
    "margin/function-",
    "near/Alpha-subtract-delayed",
    "near/LIFExponential",
    "gradient/BatchNorm2d-folded",
    "gradient/Dropout",
    "gradient/loss-CECount-plain",
    "training/Adam-all",
    "training/accumulated",
    "law/lives-dense",
    "law/resumes-chancy",
    "law/rounds-recurrent",
    "law/rounds-Linear-bias/step",
)
"""Of each class a few; `test_cuda_kernels.py` holds kernels of all kinds to the CPU's."""


@pytest.mark.parametrize("select", QUICK)
def test_interpreted_kernels_pass_a_part_of_the_suite(select: str) -> None:
    report = run_on(backend(), INTERPRET, select=select)
    assert report.label == "interpreted"
    assert report.cases
    assert [case for case in report.cases if case.outcome != "passed"] == []


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_interpreted_kernels_pass_all_of_the_suite_and_decline_nothing() -> None:
    report = run_on(backend(), INTERPRET)
    assert [case for case in report.cases if case.outcome != "passed"] == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_interpreted_kernels_pass_a_part_of_the_suite_on_every_path() -> None:
    report = run_on(backend(), INTERPRET, quick=True, paths=True)
    assert len(report.cases) > 800
    assert [case for case in report.cases if case.outcome != "passed"] == []
