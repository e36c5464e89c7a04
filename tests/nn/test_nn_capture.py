"""Capture: which modules become programs, and what these compute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from nn_captures import B, Through, kinds, lif, same, signal
from torch import Tensor, nn
from torch.nn import functional as F

from snnhw.ir import Add, Conv2d, Flatten, Input, Linear, MaxPool2d, Neuron, Output, Pointwise
from snnhw.nn import capture

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")


@pytest.fixture(autouse=True)
def same_weights() -> None:
    torch.manual_seed(1)


def test_a_sequence() -> None:
    net = nn.Sequential(nn.Linear(6, 8), lif(), nn.Linear(8, 4), lif(output=True))
    captured = same(net, signal(6))
    assert kinds(captured) == {
        "input": Input,
        "0": Linear,
        "1": Neuron,
        "2": Linear,
        "3": Neuron,
        "output.0": Output,
        "output.1": Output,
    }
    assert captured.program.outputs() == {"output.0": "3.spk", "output.1": "3.mem"}
    assert captured.program.trainable == {"0.weight", "0.bias", "2.weight", "2.bias"}
    assert set(captured.names) == set(captured.params)


class Convolutional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, kernel_size=(3, 2), padding=(1, 0))
        self.pool = nn.MaxPool2d(2)
        self.encoder = nn.Sequential(self.conv, lif(beta=torch.linspace(0.5, 0.9, 3).reshape(3, 1, 1)))
        self.fc = nn.Linear(3 * 3 * 3, 4)
        self.lif2 = lif(output=True, learn_threshold=True)

    def forward(self, x: Tensor) -> Any:
        hidden = self.pool(self.encoder(x))
        return self.lif2(self.fc(hidden.flatten(1)))


def test_nested_modules_have_the_names_of_their_paths() -> None:
    captured = same(Convolutional(), signal(2, 6, 7))
    assert kinds(captured) == {
        "x": Input,
        "conv": Conv2d,
        "encoder.1": Neuron,
        "pool": MaxPool2d,
        "flatten": Flatten,
        "fc": Linear,
        "lif2": Neuron,
        "output.0": Output,
        "output.1": Output,
    }
    assert captured.params["encoder.1.beta"].shape == (3, 1, 1)
    assert "lif2.threshold" in captured.program.trainable


FLATTENS: dict[str, Callable[[Tensor], Tensor]] = {
    "flatten(1)": lambda x: x.flatten(1),
    "torch.flatten": lambda x: torch.flatten(x, start_dim=1),
    "from behind": lambda x: x.flatten(-3, -1),
    "view(size(0), -1)": lambda x: x.view(x.size(0), -1),
    "view(shape[0], -1)": lambda x: x.view(x.shape[0], -1),
    "view(size(), ...)": lambda x: x.view(x.size()[0], 24),
    "view(-1, n)": lambda x: x.view(-1, 2 * 3 * 4),
    "reshape": lambda x: x.reshape((x.shape[0], x.shape[1] * x.shape[2] * x.shape[3])),
    "the sample's batch": lambda x: x.view(B, -1),
}


@pytest.mark.parametrize("function", FLATTENS.values(), ids=FLATTENS)
def test_ways_to_flatten(function: Callable[[Tensor], Tensor]) -> None:
    captured = same(Through(function), signal(2, 3, 4))
    assert [op for op in captured.program.nodes.values() if isinstance(op, Flatten)] == [Flatten()]


def test_flattening_some_axes() -> None:
    captured = same(Through(lambda x: x.flatten(1, 2)), signal(2, 3, 4))
    assert Flatten(0, 1) in captured.program.nodes.values()


POINTWISE: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "torch.relu": torch.relu,
    "method": lambda x: x.sigmoid(),
    "tanh": torch.tanh,
    "numbers": lambda x: 2 * x - 1,
    "from the right": lambda x: 1 - x / 2,
    "negated": lambda x: -x,
    "product": lambda x: x * x.tanh(),
    "torch.mul": lambda x: torch.mul(torch.add(x, 1.0), torch.sub(x, x)) + x,
}


@pytest.mark.parametrize("function", POINTWISE.values(), ids=POINTWISE)
def test_functions_element_by_element(function: Callable[[Tensor], Tensor]) -> None:
    captured = same(Through(function), signal(6))
    assert Pointwise in kinds(captured).values()


POOLS: dict[str, Callable[[Tensor], Tensor]] = {
    "F.max_pool2d": lambda x: F.max_pool2d(x, 2),
    "stride": lambda x: F.max_pool2d(x, (3, 2), stride=(1, 2), padding=1),
    "F.avg_pool2d": lambda x: F.avg_pool2d(x, 2),
    "padded": lambda x: F.avg_pool2d(x, 3, 2, 1),
    "sums": lambda x: F.avg_pool2d(x, 3, 2, 1, divisor_override=1),
    "without channels": lambda x: F.max_pool1d(x.flatten(1), 3, stride=2, padding=1),
}


@pytest.mark.parametrize("function", POOLS.values(), ids=POOLS)
def test_pools(function: Callable[[Tensor], Tensor]) -> None:
    same(Through(function), signal(2, 7, 6))


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(2, 4, 3, stride=2, padding=1, bias=False),
        nn.Conv2d(2, 4, 3, padding="same", dilation=2),
        nn.Conv2d(2, 4, (3, 2), padding="valid", groups=2),
        nn.AvgPool2d(3, stride=1, padding=1),
        nn.AvgPool2d(2, count_include_pad=False),
        nn.MaxPool2d(3, stride=2, padding=1),
        nn.LPPool2d(1, (3, 2), stride=1),
        nn.Flatten(),
        nn.Flatten(2, 3),
        nn.ReLU(),
        nn.Sigmoid(),
        nn.Tanh(),
        nn.Identity(),
        nn.Linear(6, 3, bias=False),
    ],
    ids=str,
)
def test_layers(layer: nn.Module) -> None:
    same(nn.Sequential(layer, lif()), signal(2, 7, 6))


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(6, 6), nn.Linear(6, 6)
        self.lif1, self.lif2 = lif(), lif()

    def forward(self, x: Tensor) -> Any:
        spk = self.lif1(self.fc1(x))
        return self.lif2(self.fc2(spk) + spk + x)


def test_branches_that_meet_again() -> None:
    captured = same(Residual(), signal(6))
    assert list(kinds(captured).values()).count(Add) == 2


def test_a_signal_added_to_itself() -> None:
    same(Through(lambda x: x + x), signal(6))


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 6)
        self.fc_1 = nn.Linear(6, 6)  # the name that a second use of fc would be given
        self.lif1, self.lif2 = lif(), lif()

    def forward(self, x: Tensor) -> Any:
        return self.lif2(self.fc_1(self.fc(self.lif1(self.fc(x)))))


def test_a_layer_used_twice_has_one_set_of_parameters() -> None:
    captured = same(Shared(), signal(6))
    layers = ("fc.weight", "fc.bias", "lif1.beta", "lif1.threshold", "fc_1.weight", "fc_1.bias")
    assert tuple(captured.params) == (*layers, "lif2.beta", "lif2.threshold")
    assert captured.program.param_keys("fc_2") == {"weight": "fc.weight", "bias": "fc.bias"}
    assert captured.names["fc_1.weight"] == "fc_1.weight"


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(6, 6), nn.Linear(6, 6)
        self.fc2.weight = self.fc1.weight
        self.lif1, self.lif2 = lif(learn_beta=True), lif()
        self.lif2.beta = self.lif1.beta

    def forward(self, x: Tensor) -> Any:
        return self.lif2(self.fc2(self.lif1(self.fc1(x))))


def test_parameters_shared_by_two_layers_stay_shared() -> None:
    captured = same(Tied(), signal(6))
    assert captured.program.param_keys("fc2") == {"weight": "fc1.weight", "bias": "fc2.bias"}
    assert captured.program.param_keys("lif2")["beta"] == "lif1.beta"
    assert "lif1.beta" in captured.program.trainable


def test_frozen_parameters_are_not_trained() -> None:
    net = nn.Sequential(nn.Linear(6, 4), lif())
    net[0].weight.requires_grad_(False)
    assert capture(net, torch.zeros(B, 6)).program.trainable == {"0.bias"}


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(6, 4), nn.Linear(3, 4)
        self.lif = lif(output=True)

    def forward(self, image: Tensor, sound: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        current = self.left(image) + self.right(sound)
        spk, mem = self.lif(current)
        return spk, mem, current


def test_several_inputs_and_outputs() -> None:
    captured = same(Two(), signal(6), signal(3))
    assert captured.program.named(Input) == ("image", "sound")
    assert list(captured.program.outputs().values()) == ["lif.spk", "lif.mem", "add.y"]


def test_samples_by_argument() -> None:
    by_name = capture(Two(), {"sound": torch.zeros(B, 3), "image": torch.zeros(B, 6)})
    assert by_name.program.nodes["image"] == Input((6,))


@pytest.mark.parametrize("layer", [lif(output=True), nn.Linear(6, 4)], ids=["neuron", "layer"])
def test_one_layer_by_itself(layer: nn.Module) -> None:
    captured = same(layer, signal(6))
    name = type(layer).__name__.lower()
    assert name in captured.program.nodes
    own = {**dict(layer.named_parameters()), **dict(layer.named_buffers())}
    assert set(captured.names.values()) <= set(own)


def test_a_neuron_that_keeps_nothing_inside_is_captured_as_one_that_does() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lif = lif(init_hidden=False)

        def forward(self, x: Tensor) -> Any:
            spk, mem = self.lif(x)
            return spk, mem * 2

    same(Net(), signal(6))


@pytest.mark.parametrize("shape", [(), (1,)], ids=str)
def test_samples_of_hardly_any_shape(shape: tuple[int, ...]) -> None:
    same(lif(), signal(*shape))


def test_a_name_that_a_node_would_take_belongs_to_the_module() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.output, self.add = nn.Linear(6, 6), lif()

        def forward(self, x: Tensor) -> Any:
            return self.add(self.output(x) + x)

    captured = same(Net(), signal(6))
    assert kinds(captured)["output"] is Linear
    assert kinds(captured)["add"] is Neuron


def test_states_and_options_come_along() -> None:
    net = nn.Sequential(
        lif(
            reset_mechanism="zero",
            reset_delay=False,
            graded_spikes_factor=2.0,
            state_quant=torch.linspace(-2, 2, 9),
        )
    )
    op = same(net, signal(6)).program.nodes["0"]
    assert isinstance(op, Neuron)
    assert (op.reset, op.timing, op.graded, op.quantised) == ("zero", "retest", True, True)


def test_capture_leaves_the_module_as_it_was() -> None:
    net = nn.Sequential(nn.Linear(6, 4), lif())
    net(torch.ones(B, 6))
    before = net[1].mem
    capture(net, torch.zeros(B, 6))
    assert net[1].mem is before


def test_bfloat16_weights_come_as_float32() -> None:
    captured = capture(nn.Sequential(nn.Linear(6, 4).bfloat16(), lif()), torch.zeros(B, 6))
    assert captured.params["0.weight"].dtype == np.float32
