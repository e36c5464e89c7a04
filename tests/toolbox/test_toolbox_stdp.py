"""Spike-timing-dependent plasticity."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnhw as snn
from snnhw.errors import InputError
from snnhw.functional import stdp_learner as stdp

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")

GOLDEN = Path(__file__).parents[1] / "golden/snntorch_golden.json"
(CASE,) = (case for case in json.loads(GOLDEN.read_text())["cases"] if case["id"] == "stdp_linear")
STEPS, SETTINGS = CASE["expected"], CASE["params"]
TAUS = SETTINGS["tau_pre"], SETTINGS["tau_post"]


def golden_synapse() -> nn.Linear:
    synapse = nn.Linear(2, 2, bias=False)
    synapse.weight.data = torch.tensor(SETTINGS["W"])
    return synapse


def test_traces_and_changes_are_snntorchs() -> None:
    pre = post = None
    synapse = golden_synapse()
    for step in STEPS:
        seen, fired = torch.tensor([step["inp"]]), torch.tensor([step["out"]])
        pre, post, change = stdp.stdp_linear_single_step(synapse, seen, fired, pre, post, *TAUS)
        assert pre.tolist() == step["trace_pre"]
        assert post.tolist() == step["trace_post"]
        assert change.tolist() == step["dw"]


class Replay(nn.Module):
    """Neurons that fire what they are told."""

    def __init__(self, spikes: list[Tensor]) -> None:
        super().__init__()
        self.spikes = iter(spikes)

    def forward(self, _: Tensor) -> tuple[Tensor, None]:
        return next(self.spikes), None


def learnt() -> tuple[nn.Linear, stdp.STDPLearner]:
    synapse = golden_synapse()
    neurons = Replay([torch.tensor([step["out"]]) for step in STEPS])
    learner = stdp.STDPLearner(synapse, neurons, *TAUS)
    for step in STEPS:
        neurons(synapse(torch.tensor([step["inp"]])))
    return synapse, learner


WHOLE = sum(torch.tensor(step["dw"]) for step in STEPS)


def test_a_learner_adds_up_what_it_watched() -> None:
    _, learner = learnt()
    change = learner.step(on_grad=False, scale=2.0)
    torch.testing.assert_close(change, 2 * WHOLE)


def test_an_optimizer_adds_the_change() -> None:
    synapse, learner = learnt()
    before = synapse.weight.detach().clone()
    synapse.weight.grad = torch.ones(2, 2)
    assert learner.step() is None
    torch.optim.SGD([synapse.weight], lr=0.5).step()
    torch.testing.assert_close(synapse.weight.detach(), before + 0.5 * (WHOLE - 1))


def test_a_reset_learner_starts_from_nothing() -> None:
    synapse, learner = learnt()
    learner.step(on_grad=False)
    learner.reset()
    assert learner.trace_pre is None
    learner.disable()
    synapse(torch.ones(1, 2))
    learner.enable()
    with pytest.raises(InputError, match="the synapse was called 0 times and the neurons 0 times since the"):
        learner.step()


def test_neurons_of_a_network_are_watched() -> None:
    synapse, neurons = nn.Linear(3, 2), snn.Leaky(beta=0.5, init_hidden=True)
    learner = stdp.STDPLearner(synapse, neurons, 2.0, 2.0)
    for _ in range(3):
        neurons(synapse(torch.rand(4, 3)))
    change = learner.step(on_grad=False)
    assert change is not None
    assert change.shape == (2, 3)
    assert not change.requires_grad


def peers(conv: nn.Module, spikes: tuple[Tensor, Tensor], rule: Callable[..., Any]) -> list[Tensor]:
    pre, post, change = rule(conv, *spikes, None, None, 2.0, 4.0, torch.abs, torch.sigmoid)
    *traces, again = rule(conv, *spikes, pre, post, 2.0, 4.0, torch.abs, torch.sigmoid)
    return [change, again, *traces]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", [0, 1])
def test_convolutions_are_snntorchs(stride: int, padding: int) -> None:
    from snntorch.functional import stdp_learner as theirs

    torch.manual_seed(0)
    layers: tuple[nn.Conv1d | nn.Conv2d, ...] = (
        nn.Conv1d(2, 3, 3, stride, padding),
        nn.Conv2d(2, 3, 3, stride, padding, padding_mode="circular"),
    )
    for conv, axes in zip(layers, (1, 2), strict=True):
        before = (torch.rand(2, 2, *[8] * axes) > 0.5).float()
        after = (conv(before) > 0).float()
        name = f"stdp_conv{axes}d_single_step"
        ours, peer = (peers(conv, (before, after), getattr(each, name)) for each in (stdp, theirs))
        torch.testing.assert_close(ours, peer)


def test_rewarded_rules_are_snntorchs() -> None:
    from snntorch.functional import stdp_learner as theirs

    torch.manual_seed(0)
    synapse, before, after = nn.Linear(3, 2), torch.rand(4, 3), torch.rand(4, 2)
    ours, peer = (
        each.mstdp_linear_single_step(synapse, before, after, None, None, 2.0, 3.0) for each in (stdp, theirs)
    )
    torch.testing.assert_close(ours, peer)
    ours, peer = (
        each.mstdpet_linear_single_step(synapse, before[0], after[0], None, None, 2.0, 3.0, 4.0)
        for each in (stdp, theirs)
    )
    torch.testing.assert_close(ours, peer)


def test_other_synapses() -> None:
    with pytest.raises(InputError, match="no STDP rule is known for a Bilinear; accepted: Linear, Conv1d, "):
        stdp.STDPLearner(nn.Bilinear(1, 1, 1), nn.Identity(), 1.0, 1.0)
