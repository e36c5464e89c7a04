"""NaN is found where it first appears."""

from __future__ import annotations

import math
from collections.abc import Callable

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


def test_a_state_that_is_passed_or_kept() -> None:
    layer = snn.Leaky(0.8)
    with pytest.raises(InputError, match="Leaky is given values"), snn.utils.check_finite(layer):
        layer(torch.ones(2, 3), mem=torch.full((2, 3), math.nan))


def test_without_it_a_neuron_falls_silent_as_in_snntorch_and_nothing_is_left_behind() -> None:
    layer = snn.Leaky(0.8, init_hidden=True)
    with snn.utils.check_finite(layer):
        layer(torch.ones(2, 3))
    assert layer(torch.full((2, 3), math.nan)).tolist() == [[0.0] * 3] * 2
    assert getattr(layer, "mem").isnan().all()  # noqa: B009  # a state
