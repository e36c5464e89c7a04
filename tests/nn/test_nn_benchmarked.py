"""NeuroBench: a stand-in asks as it does, by the class of snnTorch, for hooks, a model and a reset."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnhw as snn
from snnhw.nn.modules.benchmarked import HOOKS, MODEL

X = torch.rand(4, 3, 8, generator=torch.Generator().manual_seed(0)) * 3


class Theirs(nn.Module):
    """In snnTorch's place."""


@pytest.fixture
def neurobench(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """Its modules of models and of hooks."""
    model, hooks = ModuleType(MODEL), ModuleType(HOOKS)
    reset: list[nn.Module] = []
    vars(model).update(snn=SimpleNamespace(SpikingNeuron=Theirs), were_reset=reset)
    vars(model).update(utils=SimpleNamespace(reset=reset.append))
    vars(hooks).update(snn=SimpleNamespace(SpikingNeuron=Theirs))
    monkeypatch.setitem(sys.modules, MODEL, model)
    monkeypatch.setitem(sys.modules, HOOKS, hooks)
    return model, hooks


def figures(model: Any, hooks: Any, net: nn.Module) -> tuple[int, int, list[Tensor]]:
    """Spikes and membranes that its hooks see in two batches, and what the network gives in each."""
    net.eval()
    layers = [layer for layer in net if isinstance(layer, model.snn.SpikingNeuron)]  # type: ignore[attr-defined]
    seen: dict[str, int] = {"spikes": 0, "membranes": 0}

    def hook(layer: Any, _: Any, output: Any) -> None:
        spiking = isinstance(layer, hooks.snn.SpikingNeuron)
        seen["spikes"] += int((output if torch.is_tensor(output) else output[0]).sum())
        seen["membranes"] += layer.mem.numel() if spiking else 0

    for layer in layers:
        layer.register_forward_hook(hook)
    batches = []
    for _ in range(2):
        model.utils.reset(net)
        batches.append(torch.stack([net(x) for x in X]))
    return seen["spikes"], seen["membranes"], batches


@pytest.mark.parametrize("name", ["Leaky", "Synaptic", "RLeaky"])
def test_neurons_are_seen_and_reset(name: str, neurobench: tuple[Any, Any]) -> None:
    made: dict[str, Callable[[], nn.Module]] = {
        "Leaky": lambda: snn.Leaky(beta=0.9, init_hidden=True),
        "Synaptic": lambda: snn.Synaptic(alpha=0.5, beta=0.9, init_hidden=True),
        "RLeaky": lambda: snn.RLeaky(beta=0.9, linear_features=8, init_hidden=True),
    }
    model, hooks = neurobench
    net = nn.Sequential(made[name](), nn.Identity())
    spikes, membranes, batches = figures(model, hooks, net)
    assert spikes == int(torch.stack(batches).sum())
    assert membranes == 2 * X.numel()
    assert torch.equal(*batches)
    assert model.were_reset == [net, net]  # by its own, too, which knows others


def test_its_own_neurons_stay_neurons_and_nothing_is_done_twice(neurobench: tuple[Any, Any]) -> None:
    model, hooks = neurobench
    for _ in range(2):
        snn.Leaky(beta=0.9).eval()
        assert model.snn.SpikingNeuron == hooks.snn.SpikingNeuron == (Theirs, snn.SpikingNeuron)
