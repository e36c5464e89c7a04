"""NaN is found where it first appears."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import snnhw as snn
from snnhw.errors import InputError

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(3, 4),
        snn.Leaky(0.8, init_hidden=True),
        nn.Sequential(snn.RLeaky(0.8, linear_features=4, init_hidden=True)),
    )


def given_nan(_: nn.Sequential) -> list[Tensor]:
    return [torch.ones(2, 3), torch.tensor([[1.0, math.nan, 1.0], [1.0, 1.0, -math.inf]])]


def learnt_nan(net: nn.Sequential) -> list[Tensor]:
    recurrent = net.get_submodule("2.0.recurrent")
    with torch.no_grad():
        recurrent.get_parameter("bias")[1] = math.nan
    return [torch.ones(2, 3)]


def grown(net: nn.Sequential) -> list[Tensor]:
    with torch.no_grad():
        net.get_submodule("0").get_parameter("weight").fill_(3e38)
    return [torch.ones(2, 3)]


@pytest.mark.parametrize(
    ("fails", "message"),
    [
        (
            given_nan,
            "'0' (Linear) is given values that are not finite at step 1: 1 -inf, 1 nan of 6, in a tensor of",
        ),
        (learnt_nan, "'2.0' (RLeaky) returns values that are not finite at step 0: 2 nan of 8"),
        (grown, "'0' (Linear) returns values that are not finite at step 0: 8 inf of 8"),
    ],
)
def test_the_layer_and_step_are_named(fails: Callable[[nn.Sequential], list[Tensor]], message: str) -> None:
    net = network()
    steps = fails(net)
    with snn.utils.check_finite(net):
        for x in steps[:-1]:
            net(x)
        with pytest.raises(InputError) as caught:
            net(steps[-1])
    assert str(caught.value).startswith(message)
    assert all(layer._hw_validate_args for layer in net.modules() if isinstance(layer, snn.SpikingNeuron))


def test_a_state_that_is_passed_or_kept() -> None:
    layer = snn.Leaky(0.8)
    with pytest.raises(InputError, match="Leaky is given values"), snn.utils.check_finite(layer):
        layer(torch.ones(2, 3), mem=torch.full((2, 3), math.nan))


NAN = torch.tensor([[1.0, math.nan, 1.0]])

LAYERS: dict[str, tuple[Callable[[], Any], Tensor]] = {
    "Leaky": (lambda: snn.Leaky(0.8), NAN),
    "zero": (lambda: snn.Synaptic(0.5, 0.8, reset_mechanism="zero", init_hidden=True), NAN),
    "one sample": (lambda: snn.Leaky(torch.rand(3)), NAN[0]),
    "inhibited": (lambda: snn.Leaky(0.8, inhibition=True), NAN),
    "RLeaky": (lambda: snn.RLeaky(0.8, linear_features=3), NAN),
    "SLSTM": (lambda: snn.SLSTM(3, 2), NAN),
    "StateLeaky": (lambda: snn.StateLeaky(0.8, 3), NAN.expand(4, 1, 3)),
    "LeakyParallel": (lambda: snn.LeakyParallel(3, 2), NAN.expand(4, 1, 3)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_nan_in_an_input_is_an_error(name: str) -> None:
    make, x = LAYERS[name]
    layer = make()
    layer(torch.ones_like(x))
    kind, count = type(layer).__name__, int(x.isnan().sum())
    message = rf"{kind}: a membrane is NaN, .* NaN: {count} of {x.numel()} in its input"
    with pytest.raises(InputError, match=message):
        layer(x)


def test_nan_that_comes_from_elsewhere() -> None:
    layer: Any = snn.Leaky(torch.rand(3), learn_beta=True)
    with pytest.raises(InputError, match=r"NaN: 3 of 3 in its state 'mem'\. Find its origin within"):
        layer(torch.ones(1, 3), torch.full((1, 3), math.nan))
    layer.reset_mem()
    with pytest.raises(InputError, match="NaN: none given, so that it comes from infinite values"):
        layer(torch.full((1, 3), -math.inf), torch.full((1, 3), math.inf))
    layer.reset_mem()
    with torch.no_grad():
        layer.beta[1] = math.nan
    with pytest.raises(InputError, match="NaN: 1 of 3 in its parameter 'beta'"):
        layer(torch.ones(1, 3))


def test_any_state_of_a_neuron_without_a_membrane_of_that_name() -> None:
    pair = snn.neuron(
        "Pair", states="v w", equations={"v": "v + x", "w": "w / 2"}, fire="v - 1", reset="none"
    )
    with pytest.raises(InputError, match=r"Pair: a membrane is NaN, .* NaN: 1 of 3 in its input"):
        pair()(NAN)


def test_large_values_are_no_nan() -> None:
    x = torch.tensor([[3e38, 3e38, -3e38, -3e38]])
    assert snn.Leaky(0.8)(x)[0].tolist() == [[1, 1, 0, 0]]


@pytest.mark.parametrize("given", [torch.full((2, 1, 3), math.nan), np.full((2, 1, 3), math.nan)], ids=type)
def test_nan_given_to_a_compiled_model(given: Any) -> None:
    net = nn.Sequential(snn.Leaky(0.8, init_hidden=True))
    with snn.compile(net, torch.zeros(1, 3), backend="reference", time_steps=2) as model:
        with pytest.raises(InputError, match="input 'input' holds 6 NaN of 6; a neuron that is given NaN"):
            model(given)
        with pytest.raises(InputError, match="input 'input' holds 6 NaN of 6"):
            model.run({"input": given})


def test_insisting_on_nan_silences_a_neuron_as_in_snntorch_and_nothing_is_left_behind() -> None:
    layer = snn.Leaky(0.8, init_hidden=True, validate_args=False)
    with snn.utils.check_finite(layer):
        layer(torch.ones(2, 3))
    assert not layer._hw_validate_args
    assert layer(torch.full((2, 3), math.nan)).tolist() == [[0.0] * 3] * 2
    assert getattr(layer, "mem").isnan().all()  # noqa: B009  # a state
