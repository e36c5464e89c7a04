"""Neuron modules against snnTorch's recorded numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import snnhw as snn
from snnhw.ir import MODELS

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")

GOLDEN = Path(__file__).parents[1] / "golden/snntorch_golden.json"
ALL = [case for case in json.loads(GOLDEN.read_text())["cases"] if case["target"] in MODELS]
SURROGATES = {
    "atan": snn.surrogate.atan(),
    "fast_sigmoid_s4": snn.surrogate.fast_sigmoid(slope=4),
    "heaviside": snn.surrogate.heaviside(),
    "sigmoid_s4": snn.surrogate.sigmoid(slope=4),
    "spike_rate_escape_b1_s1": snn.surrogate.spike_rate_escape(beta=1, slope=1),
    "ste": snn.surrogate.straight_through_estimator(),
    "triangular": snn.surrogate.triangular(),
}
LEVELS = torch.linspace(-1, 1.5, 4).double()  # what the case's note says


def neuron(case: dict[str, Any]) -> Any:
    settings = {
        name: torch.tensor(v).double() if isinstance(v, list) else v for name, v in case["params"].items()
    }
    if "spike_grad" in settings:
        settings["spike_grad"] = SURROGATES[str(settings["spike_grad"])]
    if "state_quant" in settings:
        settings["state_quant"] = LEVELS
    beta = settings["beta"]
    in_range = isinstance(beta, Tensor) or beta <= 1  # snnTorch checks nothing, and clamps
    return getattr(snn.nn, case["target"])(**settings, validate_args=in_range).double()


def known(case: dict[str, Any]) -> bool:
    return bool(
        case["params"].get("spike_grad", "atan") in SURROGATES and not case["params"].get("inhibition")
    )


NEURONS = [case for case in ALL if case["kind"] == "neuron" and known(case)]
GRADIENTS = [case for case in ALL if case["kind"] == "gradient" and known(case)]


def test_no_case_was_left_out_that_could_be_run() -> None:
    """What is missing: inhibition."""
    left = [case for case in ALL if case not in NEURONS and case not in GRADIENTS]
    assert all(case["params"].get("inhibition") for case in left)
    assert len(NEURONS) >= 13
    assert len(GRADIENTS) >= 15


@pytest.mark.parametrize("case", NEURONS, ids=lambda case: case["id"])
def test_spikes_and_states_in_every_bit(case: dict[str, Any]) -> None:
    layer, x = neuron(case), torch.tensor(case["inputs"]["x_TxBxN"], dtype=torch.float64)
    names = ("spk", *layer.state_names)
    found = [layer(step) for step in x]
    for name, values in zip(names, zip(*found, strict=True), strict=True):
        assert torch.stack(values).tolist() == case["expected"][name], name


@pytest.mark.parametrize("case", GRADIENTS, ids=lambda case: case["id"])
def test_losses_and_gradients(case: dict[str, Any]) -> None:
    layer = neuron(case)
    x = torch.tensor(case["inputs"]["x_T"], dtype=torch.float64, requires_grad=True)
    weights = torch.tensor(case["inputs"]["spike_weights_T"], dtype=torch.float64)
    steps = [layer(value.reshape(1, 1)) for value in x]
    spikes, membranes = (torch.stack([step[place] for step in steps]).flatten() for place in (0, -1))
    loss = (weights * spikes + 0.25 * membranes).sum()
    loss.backward()  # type: ignore[no-untyped-call]  # torch's own
    assert loss.item() == case["expected"]["loss"]
    grads = {"dx": x.grad, **{f"d{name}": p.grad for name, p in layer.named_parameters()}}
    for name in grads.keys() & case["expected"].keys():
        wanted = torch.tensor(case["expected"][name], dtype=torch.float64)
        # snnTorch's spikes are float32 whatever the network is, and so is what flows through them
        torch.testing.assert_close(grads[name], wanted, rtol=1e-6, atol=1e-7)
    assert "dx" in case["expected"]
