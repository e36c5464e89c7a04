"""Capture: how what is no program is refused, with the line and the change to make."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from nn_captures import B, Through, lif, signal
from torch import Tensor, nn
from torch.nn import functional as F

import snnhw as snn
from snnhw.errors import CaptureError
from snnhw.nn import SpikingNeuron, capture

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")


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
