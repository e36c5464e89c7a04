"""Layers of brevitas before neurons, and what is said of them; a stand-in takes the place of the package."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

import snnhw as snn
from snnhw.errors import CaptureError

X = torch.rand(5, 4, generator=torch.Generator().manual_seed(0))


class QuantTensor(NamedTuple):
    """As brevitas's: a value with what it was quantised by, and no tensor itself."""

    value: Tensor
    scale: Tensor


class Quantised(nn.Linear):
    """As brevitas's QuantLinear with ``return_quant_tensor``."""

    def forward(self, x: Tensor) -> QuantTensor:  # type: ignore[override]  # as theirs
        scale = self.weight.detach().abs().max() / 7
        return QuantTensor(nn.functional.linear(x, torch.round(self.weight / scale) * scale), scale)


class QuantLinear(nn.Linear):
    """As brevitas's, which makes a tensor of a symbol."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x * torch.tensor(x.abs().max(), dtype=torch.float))


@pytest.mark.parametrize("name", ["Leaky", "Synaptic", "RLeaky", "LeakyParallel"])
def test_a_neuron_takes_the_value_of_a_quant_tensor(name: str) -> None:
    kinds: dict[str, Callable[[], nn.Module]] = {
        "Leaky": lambda: snn.Leaky(beta=0.9, init_hidden=True),
        "Synaptic": lambda: snn.Synaptic(alpha=0.5, beta=0.9, init_hidden=True),
        "RLeaky": lambda: snn.RLeaky(beta=0.9, V=0.5, all_to_all=False, init_hidden=True),
        "LeakyParallel": lambda: snn.LeakyParallel(3, 3, beta=0.9),
    }
    made = kinds[name]
    torch.manual_seed(0)
    one, other, layer = made(), made(), Quantised(4, 3)
    other.load_state_dict(one.state_dict())
    given = layer(X)
    assert torch.equal(one(given), other(given.value))


def test_a_layer_of_brevitas_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "brevitas", ModuleType("brevitas"))
    monkeypatch.setattr(QuantLinear, "__module__", "brevitas.nn.quant_linear")
    net = nn.Sequential(QuantLinear(4, 3), snn.Leaky(beta=0.9, init_hidden=True))
    with pytest.raises(CaptureError) as caught:
        snn.compile(net, X, backend="cpu", time_steps=3)
    said = str(caught.value)
    assert "QuantLinear is a layer of brevitas, which quantises its weights by their values" in said
    assert said.endswith("the weights that it comes to, layer.quant_weight().value")
