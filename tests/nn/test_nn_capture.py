"""Capture: which modules become programs, what these compute, and how the rest is refused."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import snnhw as snn
from snnhw.api import lower, make_job
from snnhw.errors import CaptureError
from snnhw.ir import Add, Conv2d, Flatten, Input, Linear, MaxPool2d, Neuron, Output, Pointwise
from snnhw.nn import Captured, SpikingNeuron, capture
from snnhw.registry import backend

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")

T, B = 5, 3


@pytest.fixture(autouse=True)
def same_weights() -> None:
    torch.manual_seed(1)


def lif(**settings: Any) -> Any:
    return snn.Leaky(**{"beta": 0.8, "init_hidden": True, "threshold": 0.4, **settings})


def signal(*shape: int) -> Tensor:
    return torch.randn(T, B, *shape, generator=torch.Generator().manual_seed(0)) * 2


def same(net: nn.Module, *inputs: Tensor) -> Captured:
    """Captures, and holds the program on the CPU backend to the module, step by step: spikes in every bit.

    Other values may differ in the last one, where a product over all steps at once sums in another order.
    """
    torch.manual_seed(1)
    captured = capture(net, tuple(x[0] for x in inputs))
    plugin = backend("cpu")
    job = make_job(plugin, captured.program, time_steps=T, batch=B)
    names = captured.program.named(Input)
    with lower(plugin, captured.program, captured.params, job) as executable:
        found = executable.run(dict(zip(names, inputs, strict=True))).outputs
    snn.utils.reset(net)
    with torch.no_grad():
        steps = [net(*step) for step in zip(*inputs, strict=True)]
    rows = [step if isinstance(step, tuple) else (step,) for step in steps]
    ports = captured.program.outputs()
    for name, values in zip(captured.program.named(Output), zip(*rows, strict=True), strict=True):
        wanted, exact = torch.stack(values), ports[name].endswith(".spk")
        torch.testing.assert_close(found[name], wanted, rtol=0 if exact else 1e-5, atol=0 if exact else 1e-5)
        assert found[name].count_nonzero() > 0
    return captured


def kinds(captured: Captured) -> dict[str, type]:
    return {name: type(op) for name, op in captured.program.nodes.items()}


# -- what can be captured ---------------------------------------------------------------------------


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


class Through(nn.Module):
    """One function, then neurons."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function
        self.lif = lif()

    def forward(self, x: Tensor) -> Any:
        return self.lif(self.function(x))


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


# -- what cannot ------------------------------------------------------------------------------------


def refused(net: Any, sample: Any = None) -> str:
    with pytest.raises(CaptureError) as caught:
        capture(net, torch.zeros(B, 6) if sample is None else sample)
    return str(caught.value)


def line_of(function: Callable[..., Any], text: str) -> str:
    """Where the text stands in a function: ``file:number: `line` ``."""
    lines, first = inspect.getsourcelines(function)
    (place,) = (number for number, line in enumerate(lines) if text in line)
    return f"{inspect.getsourcefile(function)}:{first + place}: `{lines[place].strip()}`"


class Model(nn.Module):
    """One forward, over layers that several tests use."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.act, self.norm = nn.Linear(6, 6), nn.PReLU(), nn.BatchNorm1d(6)
        self.lif1, self.lif2 = lif(init_hidden=False), lif(init_hidden=False)
        self.scale = nn.Parameter(torch.ones(6))


class Unknown(Model):
    def forward(self, x: Tensor) -> Any:
        return self.lif1(self.act(self.fc(x)))


def test_an_unknown_layer() -> None:
    found = refused(Unknown())
    assert found.startswith(line_of(Unknown.forward, "self.act"))
    assert "'act' is a PReLU, which has no counterpart in a program; known: Linear, Conv1d," in found


def test_an_unknown_layer_by_itself() -> None:
    assert "'prelu' is a PReLU, which has no counterpart" in refused(nn.PReLU())


class UnknownFunction(Model):
    def forward(self, x: Tensor) -> Any:
        return self.lif1(torch.cumsum(x, 1))


def test_an_unknown_function() -> None:
    found = refused(UnknownFunction())
    where = line_of(UnknownFunction.forward, "cumsum")
    assert found.startswith(
        f"{where}: 'cumsum' has no counterpart in a program; known: abs, adaptive_avg_pool1d"
    )


class Choice(Model):
    def forward(self, x: Tensor) -> Any:
        if x.sum() > 0:
            x = -x
        return self.lif1(x)


def test_a_choice_that_depends_on_values() -> None:
    found = refused(Choice())
    assert found.startswith(f"{line_of(Choice.forward, 'if x.sum()')} cannot be captured: ")
    assert found.endswith(
        "The forward must compute one time step, or the same at every step of a loop, and do so without "
        "choices that depend on values"
    )


class Twice(Model):
    def forward(self, x: Tensor) -> Any:
        spk, _ = self.lif1(x)
        return self.lif1(self.fc(spk))


def test_a_neuron_called_twice() -> None:
    found = refused(Twice())
    assert found == (
        f"{line_of(Twice.forward, 'return self.lif1')}: 'lif1' is called twice within a step, but has one "
        "state; use two neurons"
    )


class TwiceInALine(Model):
    def forward(self, x: Tensor) -> Any:
        return self.lif1(self.fc(self.lif1(x)[0]))


def test_a_neuron_called_twice_in_one_line() -> None:
    assert refused(TwiceInALine()).endswith(
        "'lif1' is called twice within a step, but has one state; use two neurons"
    )


class Mine(snn.LIF):
    def forward(self, input_: Tensor, *states: Tensor | None, **named: Tensor | None) -> Any:
        return super().forward(input_ * 2, *states, **named)


def test_a_neuron_whose_forward_is_its_own() -> None:
    net = nn.Sequential(Mine(0.5, init_hidden=True))
    assert net(signal(6)[0]).shape == (B, 6)
    assert "'0' is a Mine, whose forward is its own and runs in torch only; write its equations" in refused(
        net
    )


class TupleOn(Model):
    def forward(self, x: Tensor) -> Any:
        return self.fc(self.lif1(x))


class TupleIntoFunction(Model):
    def forward(self, x: Tensor) -> Any:
        return torch.relu(self.lif1(x))


def test_spikes_and_states_handed_on_together() -> None:
    hint = (
        "not 2 signals at once, as a neuron returns its spikes and states; take the first of them, or "
        "construct the neuron with init_hidden=True"
    )
    assert refused(TupleOn()).endswith(f"'fc' takes a signal, {hint}")
    assert refused(TupleIntoFunction()).endswith(f"'relu' takes a signal, {hint}")


class OwnTensor(Model):
    def forward(self, x: Tensor) -> Any:
        return self.lif1(x * self.scale)


def test_a_tensor_of_its_own() -> None:
    found = refused(OwnTensor())
    assert found.startswith(line_of(OwnTensor.forward, "self.scale"))
    assert found.endswith(": it uses the tensor 'scale'; only layers and neurons may hold parameters")


REFUSED: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "flatten the batch": (lambda x: x.flatten(), "flattening the batch axis mixes samples; give start_dim=1"),
    "flatten too far": (lambda x: x.flatten(1, 9), "flatten(1, 9) does not fit a tensor of 2 axes"),
    "view": (lambda x: x.view(x.size(0), 2, 2), "Unflatten(0, (2, 2)) does not fit a sample of shape (6,)"),
    "view of axes": (
        lambda x: x.view(-1, 2, 3).view(-1, 3, 2),
        "a view of [3, 2, 3] as [-1, 3, 2] is not supported, only one that",
    ),
    "view of the batch": (lambda x: x.view(9, -1), "a view of [3, 6] as [9, -1] is not supported"),
    "indexing": (lambda x: x[:, 0], "a signal [B, ...] is indexed with one slice"),
    "attribute": (lambda x: x * x.real, "the attribute 'real' of a signal cannot be captured"),
    "no such size": (lambda x: x.view(x.shape[5], -1), "there is no item 5 among 2"),
    "batch size": (
        lambda x: x / x.shape[0],
        "arithmetic takes signals and numbers, not the size of the batch",
    ),
    "option": (lambda x: torch.add(x, x, alpha=2), "'add' is not supported in this form: "),
    "truth": (lambda x: x * True, "arithmetic takes signals and numbers, not True"),
    "method": (lambda x: x.cumsum(1), "'cumsum' has no counterpart in a program; known: abs, add, bmm"),
    "dropout": (lambda x: F.dropout(x, 0.5), "use nn.Dropout, which knows training from evaluation"),
    "mean": (lambda x: x.mean(1), "mean over 1 of [3, 6] is not supported, only over all axes behind"),
    "squeeze": (lambda x: x.squeeze(), "squeeze without an axis may take the batch away; give one"),
    "squeeze to nothing": (lambda x: x[:, :1].squeeze(1), "squeeze(1) of [3, 1] leaves samples without an"),
    "unsqueeze": (lambda x: x.unsqueeze(0), "unsqueeze(0) of [3, 6]: give an axis behind the batch"),
    "ranks": (lambda x: x + x.view(x.size(0), -1)[0], "a signal [B, ...] is indexed with one slice"),
    "infinite": (lambda x: x * float("inf"), "a constant must be finite, not inf"),
}


@pytest.mark.parametrize(("function", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_functions(function: Callable[[Tensor], Any], message: str) -> None:
    assert message in refused(Through(function)).rpartition("`: ")[2]  # the line holds the message as well


POOLS_REFUSED: dict[str, tuple[nn.Module, str]] = {
    "ceil": (nn.MaxPool2d(2, ceil_mode=True), "ceil_mode=True is not supported; use False"),
    "dilation": (nn.MaxPool2d(2, dilation=2), "dilation=(2, 2) is not supported; use (1, 1)"),
    "indices": (nn.MaxPool2d(2, return_indices=True), "return_indices=True is not supported; use False"),
    "pad": (nn.AvgPool2d(2, padding=1, count_include_pad=False), "count_include_pad=False is not supported"),
    "norm": (nn.LPPool2d(2, 2), "norm_type=2 is not supported; use 1"),
    "divisor": (nn.AvgPool2d(2, divisor_override=3), "divisor_override=3 is not supported; use None"),
    "mode": (
        nn.Conv2d(2, 2, 3, padding_mode="circular"),
        "padding_mode='circular' is not supported; use 'zeros'",
    ),
    "same": (nn.Conv2d(2, 2, 2, padding="same"), "padding='same' with an even kernel pads one side more"),
    "shape": (nn.Linear(5, 2), "Linear"),
}


@pytest.mark.parametrize(("layer", "message"), POOLS_REFUSED.values(), ids=POOLS_REFUSED)
def test_refused_layers(layer: nn.Module, message: str) -> None:
    assert message in refused(nn.Sequential(layer, lif()), torch.zeros(B, 2, 6, 6))


class DifferentRanks(Model):
    def forward(self, x: Tensor, y: Tensor) -> Any:
        return self.lif1(x + y)


def test_signals_of_different_ranks() -> None:
    found = refused(DifferentRanks(), (torch.zeros(B, 6), torch.zeros(B, 2, 6)))
    assert found.endswith(
        "signals of different ranks, [3, 6] and [3, 2, 6], would mix samples; give them the same rank"
    )


class ReturnsNumber(Model):
    def forward(self, x: Tensor) -> Any:
        return self.lif1(x)[0], 3


def test_what_a_forward_may_return() -> None:
    assert "forward returns 3; return signals, alone, in one tuple or in one dict" in refused(ReturnsNumber())


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        ((torch.zeros(B, 6), torch.zeros(B, 6)), "forward takes x, but the sample holds 2 arrays"),
        ({"y": torch.zeros(B, 6)}, "forward takes x, but the sample is for y"),
        ({}, "forward takes x, but the sample has nothing for x; give a mapping by argument"),
        (3.0, "the sample for 'x' is one time step of input, an array [B, ...], not 3.0"),
        (
            torch.tensor(3.0),
            "the sample for 'x' is one time step of input, an array [B, ...], not tensor(3.)",
        ),
    ],
    ids=["more", "another", "none", "number", "0-d"],
)
def test_samples_that_do_not_fit(sample: Any, message: str) -> None:
    assert refused(Through(torch.relu), sample).startswith(message)


def test_no_module() -> None:
    assert refused("net.snn") == "a torch module is captured, not 'net.snn'"


def test_a_parameter_that_reaches_over_the_batch() -> None:
    net = nn.Sequential(lif(beta=torch.rand(B, 6)))
    assert isinstance(net[0], SpikingNeuron)
    assert "parameter 'beta' of shape (3, 6) does not fit a layer of shape (6,)" in refused(net)
