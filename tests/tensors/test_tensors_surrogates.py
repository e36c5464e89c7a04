"""Surrogates called on tensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from snnhw import surrogate
from snnhw.errors import InputError
from snnhw.ir import SSO, SURROGATES, Surrogate

pytestmark = pytest.mark.usefixtures("one_thread")

GOLDEN = Path(__file__).parents[1] / "golden/snntorch_golden.json"
KNOWN: dict[str, Any] = {
    "atan": surrogate.atan,
    "fast_sigmoid": surrogate.fast_sigmoid,
    "fast_sigmoid_s4": surrogate.fast_sigmoid,
    "heaviside": surrogate.heaviside,
    "SFS": surrogate.SFS,
    "SFS_B0.25_s4": surrogate.SFS,
    "sigmoid": surrogate.sigmoid,
    "sigmoid_s4": surrogate.sigmoid,
    "spike_rate_escape": surrogate.spike_rate_escape,
    "straight_through_estimator": surrogate.straight_through_estimator,
    "triangular": surrogate.triangular,
}
CASES = [case for case in json.loads(GOLDEN.read_text())["cases"] if case["kind"] == "surrogate"]
DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_values_and_slopes_are_snntorchs(case: dict[str, Any]) -> None:
    z = torch.tensor(case["inputs"]["x"], dtype=torch.float64, requires_grad=True)
    spikes = KNOWN[case["target"]](**case["params"])(z)
    spikes.sum().backward()
    assert spikes.tolist() == case["expected"]["forward"]
    torch.testing.assert_close(
        z.grad, torch.tensor(case["expected"]["grad"], dtype=torch.float64), rtol=1e-6, atol=0
    )


def test_every_golden_case_was_found() -> None:
    assert {case["target"] for case in CASES} == set(KNOWN)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", SURROGATES.values(), ids=SURROGATES)
def test_dtypes_stay(kind: type[Surrogate], dtype: torch.dtype) -> None:
    z = torch.tensor([-1.0, 0.0, 0.5], dtype=dtype, requires_grad=True)
    spikes = kind()(z)
    assert spikes.dtype == dtype
    assert spikes.tolist() == [0.0, 0.0, 1.0]
    spikes.sum().backward()
    assert z.grad is not None
    assert z.grad.dtype == dtype
    exact = torch.tensor([-1.0, 0.0, 0.5], dtype=torch.float64, requires_grad=True)
    kind()(exact).sum().backward()
    if kind is SSO:  # random where there is no spike
        assert z.grad[2] == 1.0
        return
    limits = torch.finfo(dtype)  # what lies below the smallest number of the dtype is 0
    torch.testing.assert_close(
        z.grad.double(), exact.grad, rtol=8 * limits.eps, atol=limits.smallest_normal * limits.eps
    )


def test_incoming_gradients_are_scaled() -> None:
    z = torch.tensor([0.0, 0.0], requires_grad=True)
    (torch.tensor([2.0, -3.0]) * surrogate.atan()(z)).sum().backward()
    assert z.grad is not None
    assert z.grad.tolist() == [2.0, -3.0]


def test_settings_can_be_given_in_place() -> None:
    z = torch.tensor([0.5], requires_grad=True)
    surrogate.FastSigmoid.apply(z, 4.0).backward()
    assert z.grad is not None
    assert z.grad.item() == pytest.approx(1 / 9)


def test_functions_return_values_that_compare() -> None:
    assert surrogate.atan() == surrogate.ATan(2.0)
    assert surrogate.fast_sigmoid(slope=4) == surrogate.FastSigmoid(4.0)
    assert surrogate.straight_through_estimator() == surrogate.StraightThrough()
    assert surrogate.spike_rate_escape(2, slope=3) == surrogate.SpikeRateEscape(2.0, 3.0)
    assert surrogate.triangle(0.5) == surrogate.Triangle(width=0.5)
    assert surrogate.triangular(threshold=2) == surrogate.Triangular(2.0)
    assert surrogate.gaussian(1) == surrogate.Gaussian(1.0)


def test_every_surrogate_of_the_language_has_its_public_name() -> None:
    assert set(SURROGATES) <= set(surrogate.__all__)


def test_something_else() -> None:
    with pytest.raises(InputError, match="a surrogate takes an expression or a torch tensor, not list"):
        surrogate.atan()([0.5])
