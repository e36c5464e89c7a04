"""Neuron modules against snnTorch's recorded numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from nn_golden import returned, signal_of, site_of
from torch import Tensor

import snnhw as snn
import snnhw.functional as SF
from snnhw.lowering import lower, make_job
from snnhw.registry import backend

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")

GOLDEN = Path(__file__).parents[1] / "golden/snntorch_golden.json"
ALL = [case for case in json.loads(GOLDEN.read_text())["cases"] if hasattr(snn, case["target"])]
SURROGATES = {
    "atan": snn.surrogate.atan(),
    "fast_sigmoid_s4": snn.surrogate.fast_sigmoid(slope=4),
    "heaviside": snn.surrogate.heaviside(),
    "sigmoid_s4": snn.surrogate.sigmoid(slope=4),
    "spike_rate_escape_b1_s1": snn.surrogate.spike_rate_escape(beta=1, slope=1),
    "ste": snn.surrogate.straight_through_estimator(),
    "triangular": snn.surrogate.triangular(),
}
ROUNDED = {"lapicque_beta", "alpha_zero", "alpha_subtract", "alpha_none"} | {
    case["id"] for case in ALL if case["kind"] == "sequence"
}
"""Cases with an exponential, a logarithm, or a convolution in place of a recurrence."""


NEURONS = [case for case in ALL if case["kind"] in ("neuron", "sequence")]
GRADIENTS = [case for case in ALL if case["kind"] == "gradient"]


def test_no_case_was_left_out() -> None:
    assert len(NEURONS) == 38
    assert len(GRADIENTS) == 16


@pytest.mark.parametrize("case", NEURONS, ids=lambda case: case["id"])
def test_spikes_and_states(case: dict[str, Any]) -> None:
    """Every bit where equations are sums and products of numbers that float32 holds."""
    found = returned(case, site_of(case, SURROGATES))
    for name, wanted in case["expected"].items():
        # snnTorch ran these in float32, or with functions whose last bits are nobody's promise
        exact = name == "spk" or (
            case["inputs"].get("dtype") == "torch.float64" and case["id"] not in ROUNDED
        )
        rtol, atol = (0.0, 0.0) if exact else (1e-6, 1e-7)
        torch.testing.assert_close(found[name], torch.tensor(wanted).double(), rtol=rtol, atol=atol)


@pytest.mark.parametrize("name", ["reference", "cpu"])
@pytest.mark.parametrize("case", NEURONS, ids=lambda case: case["id"])
def test_as_programs(case: dict[str, Any], name: str) -> None:
    layer = site_of(case, SURROGATES)
    layer.init_hidden = layer.output = True
    x = signal_of(case)
    captured = snn.capture(torch.nn.Sequential(layer), x[0])
    plugin = backend(name)
    job = make_job(
        plugin, captured.program, time_steps=len(x), batch=x.shape[1], options={"dtype": "float64"}
    )
    with lower(plugin, captured.program, captured.params, job) as executable:
        found = [torch.as_tensor(values) for values in executable.run({"input": x}).outputs.values()]
    for values, (port, wanted) in zip(found, case["expected"].items(), strict=True):
        rtol, atol = (0.0, 0.0) if port == "spk" else (1e-6, 1e-7)
        torch.testing.assert_close(values, torch.tensor(wanted).double(), rtol=rtol, atol=atol)


class Weighed(torch.nn.Module):
    """The loss of a gradient case, step by step: inputs are weights, so that their gradients are seen."""

    def __init__(self, layer: Any, x: Tensor) -> None:
        super().__init__()
        self.x, self.layer = torch.nn.Linear(len(x), 1, bias=False).double(), layer
        with torch.no_grad():
            self.x.weight.copy_(x)

    def forward(self, step: Tensor, weight: Tensor) -> Tensor:
        found: tuple[Tensor, ...] = self.layer(self.x(step))
        return found[0] * weight + 0.25 * found[-1]


@pytest.mark.parametrize("name", ["reference", "cpu"])
@pytest.mark.parametrize("case", GRADIENTS, ids=lambda case: case["id"])
def test_losses_and_gradients_as_programs(case: dict[str, Any], name: str) -> None:
    """One step of gradient descent at a rate of 1 takes the gradient off."""
    x = torch.tensor(case["inputs"]["x_T"], dtype=torch.float64)
    weights = torch.tensor(case["inputs"]["spike_weights_T"], dtype=torch.float64)
    net = Weighed(site_of(case, SURROGATES), x)
    steps = torch.eye(len(x), dtype=torch.float64)[:, None]
    with snn.compile(
        net,
        (steps[0], weights[:1, None]),
        backend=name,
        time_steps=len(x),
        loss=SF.l1_rate_sparsity(1.0),
        optimizer=snn.optim.SGD(lr=1.0),
        options={"dtype": "float64"},
    ) as model:
        before = model.params
        loss, _ = model.step({"step": steps, "weight": weights[:, None, None]})
        after = model.params
    assert loss == case["expected"]["loss"]
    grads = {key: torch.as_tensor(before[key]) - torch.as_tensor(after[key]) for key in before}
    grads = {"dx": grads.pop("x.weight"), **{f"d{key.removeprefix('layer.')}": g for key, g in grads.items()}}
    wanted = {key: value for key, value in case["expected"].items() if key.startswith("d")}
    assert wanted.keys() <= grads.keys()
    for key, value in wanted.items():
        # snnTorch's spikes are float32 whatever the network is, and so is what flows through them
        expected = torch.tensor(value, dtype=torch.float64).flatten()
        torch.testing.assert_close(grads[key].flatten(), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("case", GRADIENTS, ids=lambda case: case["id"])
def test_losses_and_gradients(case: dict[str, Any]) -> None:
    layer = site_of(case, SURROGATES)
    x = torch.tensor(case["inputs"]["x_T"], dtype=torch.float64, requires_grad=True)
    weights = torch.tensor(case["inputs"]["spike_weights_T"], dtype=torch.float64)
    steps = [layer(value.reshape(1, 1)) for value in x]
    spikes, membranes = (torch.stack([step[place] for step in steps]).flatten() for place in (0, -1))
    loss = (weights * spikes + 0.25 * membranes).sum()
    loss.backward()
    assert loss.item() == case["expected"]["loss"]
    grads = {"dx": x.grad, **{f"d{name}": p.grad for name, p in layer.named_parameters()}}
    names = {name for name in case["expected"] if name.startswith("d")}
    assert names == grads.keys()
    for name in names:
        wanted = torch.tensor(case["expected"][name], dtype=torch.float64)
        # snnTorch's spikes are float32 whatever the network is, and so is what flows through them
        torch.testing.assert_close(grads[name], wanted, rtol=1e-6, atol=1e-7)
