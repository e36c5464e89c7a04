"""Layers of brevitas before neurons, and what is said of them; a stand-in takes the place of the package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.ao.quantization import FakeQuantize

import snnhw as snn
import snnhw.functional as SF
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


class QuantReLU(nn.ReLU):
    """As brevitas's, which rounds by a scale that it holds."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(0.1))

    def forward(self, x: Tensor) -> Tensor:
        scale: Tensor = self.scale  # type: ignore[assignment]  # a buffer
        return torch.round(super().forward(x) / scale) * scale


class Proxy(nn.Module):
    """As brevitas's, for inputs, outputs and biases."""

    def __init__(self, is_quant_enabled: bool) -> None:
        super().__init__()
        self.is_quant_enabled = is_quant_enabled


class QuantLinear(nn.Linear):
    """As brevitas's: a new weight in every call, by the values of its own."""

    def __init__(self, *given: Any, rounds: str = "") -> None:
        super().__init__(*given)
        for name in ("input_quant", "output_quant", "bias_quant"):
            setattr(self, name, Proxy(name == rounds))

    def quant_weight(self) -> QuantTensor:
        scale = self.weight.detach().abs().max() / 7
        return QuantTensor(torch.round(self.weight / scale) * scale, scale)

    def forward(self, x: Tensor) -> Tensor:
        assert torch.tensor(float(x.abs().max())).isfinite()  # what no symbol goes through
        return nn.functional.linear(x, self.quant_weight().value, self.bias)


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


def test_in_evaluation_a_layer_that_quantises_its_weights_has_fixed_ones() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(QuantLinear(4, 3), snn.Leaky(beta=0.9, learn_beta=True, init_hidden=True)).eval()
    xs = torch.stack([X, -X, X])
    wanted = torch.stack([net(x) for x in xs]).detach()
    own = net.get_parameter("0.weight").detach().clone()
    how: dict[str, Any] = {"loss": SF.ce_rate_loss(), "optimizer": snn.optim.SGD(lr=0.1)}
    with snn.compile(net, X, backend="cpu", time_steps=3, **how) as model:
        assert torch.equal(model.run(xs).outputs["output"], wanted)
        assert model.program.trainable == {"1.beta"}
        model.step(xs, torch.tensor([0, 1, 2, 0, 1]))
        model.write_back(net)
    assert torch.equal(net.get_parameter("0.weight"), own)
    assert net.get_parameter("1.beta").item() != pytest.approx(0.9, abs=1e-7)


def test_one_that_is_called_twice_is_one() -> None:
    net = Twice().eval()
    with snn.compile(net, X, backend="cpu", time_steps=3) as model:
        weights = [name for name in model.program.params() if name.endswith("weight")]
    assert weights == ["fc.weight"]


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc, self.lif = QuantLinear(4, 4), snn.Leaky(beta=0.9, init_hidden=True)

    def forward(self, x: Tensor) -> Any:
        return self.lif(self.fc(self.fc(x)))


def test_one_in_training_says_what_to_do() -> None:
    net = nn.Sequential(QuantLinear(4, 3), snn.Leaky(beta=0.9, init_hidden=True))
    with pytest.raises(CaptureError, match=r"'0' is a QuantLinear, .* compile net\.eval\(\)"):
        snn.compile(net, X, backend="cpu", time_steps=3)


@pytest.mark.parametrize(
    ("more", "what"), [("input_quant", "input"), ("output_quant", "output"), ("bias_quant", "bias")]
)
def test_one_that_rounds_more_is_refused(more: str, what: str) -> None:
    net = nn.Sequential(QuantLinear(4, 3, rounds=more), snn.Leaky(beta=0.9, init_hidden=True)).eval()
    with pytest.raises(CaptureError, match=f"'0' is a QuantLinear, .* rounds its {what} besides.*'{more}'"):
        snn.compile(net, X, backend="cpu", time_steps=3)


def test_another_layer_of_brevitas_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QuantReLU, "__module__", "brevitas.nn.quant_activation")
    net = nn.Sequential(nn.Linear(4, 3), QuantReLU(), snn.Leaky(beta=0.9, init_hidden=True))
    with pytest.raises(
        CaptureError, match=r"'1' is a QuantReLU of brevitas, which quantises by values in every call"
    ):
        snn.compile(net, X, backend="cpu", time_steps=3)


def test_a_layer_that_torch_has_quantised_is_named() -> None:
    net = nn.Sequential(FakeQuantize(), nn.Linear(4, 3), snn.Leaky(beta=0.9, init_hidden=True))
    with pytest.raises(CaptureError, match=r"'0' is a FakeQuantize of torch.ao, which quantises by values"):
        snn.compile(net, X, backend="cpu", time_steps=3)
