"""The reference against numbers recorded from snnTorch 1.0."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference_nets import LEAKY, Array, alone

from snnhw.ir import SURROGATES, FrozenMap, Neuron, Params, Surrogate, trainable
from snnhw.reference import execute, pullback

GOLDEN = Path(__file__).parents[1] / "golden" / "snntorch_golden.json"

Case = dict[str, Any]


@cache
def cases(kind: str) -> list[Case]:
    found = json.loads(GOLDEN.read_text())["cases"]
    return [case for case in found if case["kind"] == kind and case["target"] == "Leaky"]


def neuron(case: Case, surrogate: Surrogate | None = None) -> Neuron:
    given = case["params"]
    lists = {name: (len(value),) for name, value in given.items() if isinstance(value, list)}
    return Neuron(
        LEAKY,
        reset=given.get("reset_mechanism", "subtract"),
        timing="delayed" if given.get("reset_delay", True) else "retest",
        surrogate=surrogate,
        graded="graded_spikes_factor" in given,
        quantised="state_quant" in given,
        param_shapes=FrozenMap(lists),
    )


def params(case: Case) -> Params:
    given = case["params"]
    values = {
        "lif.beta": np.array(given["beta"], float),
        "lif.threshold": np.array(given.get("threshold", 1.0), float),
    }
    if "graded_spikes_factor" in given:
        values["lif.graded_spikes_factor"] = np.array(given["graded_spikes_factor"])
    if "state_quant" in given:  # the case's note: two bits, linspace(-1, 1.5, 4), in single precision
        values["lif.levels"] = np.linspace(-1, 1.5, 4, dtype=np.float32)
    return values


def test_all_cases_are_there() -> None:
    assert len(cases("neuron")) == 14
    assert len(cases("gradient")) == 15


@pytest.mark.parametrize("case", cases("neuron"), ids=lambda case: case["id"])
def test_neuron(case: Case) -> None:
    if case["params"].get("inhibition"):
        pytest.skip(
            "inhibition is a composite of several nodes, with a winner-take-all op that is yet to come"
        )
    x = np.array(case["inputs"]["x_TxBxN"])
    dtype = case["inputs"]["dtype"].removeprefix("torch.")
    program = alone(neuron(case), shape=x.shape[2:])
    found = execute(program, params(case), {"x": x}, record=["lif.mem"], dtype=dtype)
    np.testing.assert_array_equal(found.outputs["output"], case["expected"]["spk"])
    expected = np.array(case["expected"]["mem"])
    if case["id"] == "leaky_state_quant":  # snnTorch's levels come from another rounding of linspace
        np.testing.assert_allclose(found.recordings["lif.mem"], expected, rtol=1e-6)
    else:
        np.testing.assert_array_equal(found.recordings["lif.mem"], expected)


RECORDED = {
    "atan": ("ATan", ()),
    "fast_sigmoid_s4": ("FastSigmoid", (4.0,)),
    "ste": ("StraightThrough", ()),
    "sigmoid_s4": ("Sigmoid", (4.0,)),
    "triangular": ("Triangular", ()),
    "heaviside": ("Heaviside", ()),
    "spike_rate_escape_b1_s1": ("SpikeRateEscape", (1.0, 1.0)),
}
"""snnTorch's surrogate, as the cases call it -> our class and its settings."""


@pytest.mark.parametrize("case", cases("gradient"), ids=lambda case: case["id"])
def test_gradient(case: Case) -> None:
    name, settings = RECORDED[case["params"]["spike_grad"]]
    program = trainable(alone(neuron(case, SURROGATES[name](*settings))))
    column = (-1, 1, 1)
    x = np.array(case["inputs"]["x_T"]).reshape(column)
    weights = np.array(case["inputs"]["spike_weights_T"]).reshape(column)
    seeds = {"lif.spk": weights, "lif.mem": np.full_like(weights, 0.25)}
    found = pullback(program, params(case), {"x": x}, seeds, record=["lif.mem"], wrt_inputs=True)

    def check(ours: Array | float, expected: str) -> None:
        # snnTorch's spikes are float32 whatever the network is, and so is what flows through them;
        # where terms of size 1 cancel in a sum, what is left carries their rounding.
        np.testing.assert_allclose(np.ravel(ours), case["expected"][expected], rtol=1e-6, atol=1e-7)

    assert found.loss == case["expected"]["loss"]
    np.testing.assert_array_equal(found.execution.outputs["output"].ravel(), case["expected"]["spk"])
    np.testing.assert_array_equal(found.execution.recordings["lif.mem"].ravel(), case["expected"]["mem"])
    check(found.inputs["x"], "dx")
    check(found.params["lif.beta"], "dbeta")
    check(found.params["lif.threshold"], "dthreshold")
