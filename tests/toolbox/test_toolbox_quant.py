"""Levels of quantised states, and rounding to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import snnhw as snn
from snnhw.errors import InputError
from snnhw.functional.quant import state_quant

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")

GOLDEN = Path(__file__).parents[1] / "golden/snntorch_golden.json"
(CASE,) = (case for case in json.loads(GOLDEN.read_text())["cases"] if case["id"] == "quant_levels")


@pytest.mark.parametrize("name", CASE["expected"])
def test_levels_are_snntorchs(name: str) -> None:
    bits, uniform, centred = (part.lstrip("bitsunformced") for part in name.split("_"))
    found = state_quant(int(bits), uniform=uniform == "True", thr_centered=centred == "True")
    torch.testing.assert_close(found.levels, torch.tensor(CASE["expected"][name]), rtol=0, atol=0)


def test_rounding_goes_to_the_nearest_level_and_passes_gradients() -> None:
    quant = state_quant(2, lower_limit=0, upper_limit=0.5)  # -1, -1/6, 2/3, 1.5
    x = torch.tensor([[-9.0, -0.5], [0.9, 1.2]], requires_grad=True)
    found = quant(x)
    torch.testing.assert_close(found, torch.tensor([[-1.0, -1 / 6], [2 / 3, 1.5]]))
    (grad,) = torch.autograd.grad(found, [x], torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert grad.tolist() == [[1, 2], [3, 4]]
    assert quant(x.double()).dtype == torch.float64


def test_halfway_goes_to_the_lower_level() -> None:
    quant = state_quant(1, upper_limit=1)  # -1, 2
    assert quant(torch.tensor([0.5, 0.50001])).tolist() == [-1, 2]


def test_a_neuron_takes_it() -> None:
    quant = state_quant(3)
    layer = snn.Leaky(beta=0.9, state_quant=quant)
    _, mem = layer(torch.linspace(-1, 1.2, 12)[None])
    torch.testing.assert_close(mem, quant(torch.linspace(-1, 1.2, 12)[None]))
    assert repr(quant) == "StateQuant(8 levels from -1 to 1.2)"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_bits": 0}, r"state_quant\(num_bits=0\): give a whole number from 1 to 16"),
        ({"num_bits": 2.0}, r"state_quant\(num_bits=2.0\): give a whole number from 1 to 16"),
        ({"threshold": -1}, "has levels from 1 to -1.2, which leaves no room around -1; widen the limits"),
        ({"upper_limit": -0.5}, "has levels from -1 to 0.5, which leaves no room around 1; widen the limits"),
    ],
)
def test_messages(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        state_quant(**settings)
