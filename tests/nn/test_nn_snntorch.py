"""Neuron modules against snnTorch 1.0 itself."""

from __future__ import annotations

import inspect
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnhw as snn
from snnhw.ir import MODELS

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")

snntorch = pytest.importorskip("snntorch", reason="snntorch is the oracle: pip install snntorch==1.0.0")

MODEL_NAMES = [name for name in MODELS if hasattr(snntorch, name)]
SETTINGS: dict[str, dict[str, Any]] = {"Leaky": {"beta": 0.8}, "Synaptic": {"alpha": 0.7, "beta": 0.8}}
OPTIONS: dict[str, tuple[Any, ...]] = {
    "reset_mechanism": ("subtract", "zero", "none"),
    "reset_delay": (True, False),
    "learn_beta": (False, True),
    "learn_threshold": (False, True),
    "init_hidden": (False, True),
    "output": (False, True),
    "graded_spikes_factor": (1.0, 2.0),
}


def pairwise_cover() -> list[dict[str, Any]]:
    """Settings among which every pair of values of two options stands once at least; greedy."""
    everything = [dict(zip(OPTIONS, values, strict=True)) for values in product(*OPTIONS.values())]

    def pairs(settings: dict[str, Any]) -> set[tuple[Any, ...]]:
        items = list(settings.items())
        return {(a, b) for place, a in enumerate(items) for b in items[place + 1 :]}

    missing = set().union(*map(pairs, everything))
    chosen = []
    while missing:
        best = max(everything, key=lambda settings: len(pairs(settings) & missing))
        chosen.append(best)
        missing -= pairs(best)
    return chosen


def as_tuple(result: Any) -> tuple[Tensor, ...]:
    return result if isinstance(result, tuple) else (result,)


def run(layer: Any, xs: Tensor, init_hidden: bool) -> tuple[list[Tensor], Tensor, dict[str, Tensor]]:
    """What it returns, stacked over time; the gradients of a loss to the inputs and parameters."""
    xs = xs.clone().requires_grad_()
    states: tuple[Tensor, ...] = ()
    found = []
    for x in xs:
        found.append(as_tuple(layer(x, *states)))
        states = () if init_hidden else found[-1][1:]
    columns = [torch.stack(column) for column in zip(*found, strict=True)]
    generator = torch.Generator().manual_seed(5)
    loss = sum((torch.randn(column.shape, generator=generator) * column).sum() for column in columns)
    loss.backward()  # type: ignore[union-attr]  # a tensor
    grads = {name: param.grad for name, param in layer.named_parameters()}
    assert xs.grad is not None
    return columns, xs.grad, grads


@pytest.mark.parametrize("settings", pairwise_cover(), ids=lambda s: "-".join(map(str, s.values())))
@pytest.mark.parametrize("name", MODEL_NAMES)
def test_same_returns_and_gradients(name: str, settings: dict[str, Any]) -> None:
    known = inspect.signature(getattr(snntorch, name)).parameters
    told = {**SETTINGS[name], **{key: value for key, value in settings.items() if key in known}}
    theirs, ours = getattr(snntorch, name)(**told), getattr(snn.nn, name)(**told)
    xs = torch.rand(12, 4, 6, generator=torch.Generator().manual_seed(1)) * 2 - 0.4
    wanted, wanted_dx, wanted_grads = run(theirs, xs, settings["init_hidden"])
    found, dx, grads = run(ours, xs, settings["init_hidden"])
    assert len(found) == len(wanted)
    for mine, their in zip(found, wanted, strict=True):
        assert torch.equal(mine, their), "equal order of operations gives equal bits"
    assert wanted[0].count_nonzero() > 10
    torch.testing.assert_close(dx, wanted_dx, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(grads, wanted_grads, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_same_arguments_in_the_same_order_with_the_same_defaults(name: str) -> None:
    theirs = inspect.signature(getattr(snntorch, name)).parameters
    ours = inspect.signature(getattr(snn.nn, name)).parameters
    assert [key for key in ours if key in theirs] == list(theirs)
    for key, parameter in theirs.items():
        assert ours[key].default == parameter.default, key


def layered(library: Any, beta: Any, learn: bool) -> nn.Sequential:
    empty = torch.zeros_like(torch.as_tensor(beta))
    return nn.Sequential(
        nn.Linear(5, 3),
        library.Leaky(beta=empty, init_hidden=True, learn_beta=learn),
        library.Leaky(beta=0.5, init_hidden=True, output=True),
    )


@pytest.mark.parametrize("learn", [False, True])
@pytest.mark.parametrize("beta", [0.7, torch.tensor([0.6, 0.7, 0.8])], ids=["scalar", "vector"])
def test_its_state_dicts_load(beta: Any, learn: bool) -> None:
    theirs, ours = layered(snntorch, beta, learn), layered(snn, beta, learn)
    with torch.no_grad():
        getattr(theirs[1], "beta").copy_(torch.as_tensor(beta))  # noqa: B009  # typed as any module
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.rand(4, 5) * 4
    assert torch.equal(ours(x)[1], theirs(x)[1])


def test_the_reset_in_a_state_dict_is_the_one_that_acts() -> None:
    theirs = snntorch.Leaky(beta=0.5, reset_mechanism="zero")
    ours = snn.Leaky(beta=0.5)
    ours.load_state_dict(theirs.state_dict())
    assert ours.reset_mechanism == "zero"
    for x in (torch.tensor([[2.0]]), torch.tensor([[0.5]])):
        spk, mem = ours(x)
        their_spk, their_mem = theirs(x)
        assert (spk, mem) == (their_spk, their_mem)


@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 2, 4, 4)], ids=str)
def test_inputs_of_any_rank(shape: tuple[int, ...]) -> None:
    ours, theirs = snn.Leaky(beta=0.8), snntorch.Leaky(beta=0.8)
    mem = their_mem = torch.zeros(1)  # as the tutorials begin
    for x in torch.rand(10, *shape) * 0.8:
        spk, mem = ours(x, mem)
        their_spk, their_mem = theirs(x, their_mem)
        assert spk.shape == mem.shape == x.shape
        assert torch.equal(spk, their_spk)
        assert torch.equal(mem, their_mem)


def test_a_tutorials_loop_runs_unchanged() -> None:
    """snnTorch's tutorial 5: states made by init_leaky, handed on, recorded."""

    class Net(nn.Module):
        def __init__(self, library: Any) -> None:
            super().__init__()
            self.fc1, self.fc2 = nn.Linear(6, 8), nn.Linear(8, 3)
            self.lif1, self.lif2 = library.Leaky(beta=0.95), library.Leaky(beta=0.95)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
            spikes, membranes = [], []
            for _ in range(9):
                spk1, mem1 = self.lif1(self.fc1(x), mem1)
                spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
                spikes.append(spk2)
                membranes.append(mem2)
            return torch.stack(spikes), torch.stack(membranes)

    theirs, ours = Net(snntorch), Net(snn)
    ours.load_state_dict(theirs.state_dict())
    x = torch.rand(4, 6) * 3
    wanted, found = theirs(x), ours(x)
    assert torch.equal(found[0], wanted[0])
    assert torch.equal(found[1], wanted[1])
    for net, membranes in ((theirs, wanted[1]), (ours, found[1])):
        nn.functional.cross_entropy(membranes[-1], torch.tensor([0, 1, 2, 0])).backward()  # type: ignore[no-untyped-call]
        assert net.fc1.weight.grad is not None
    torch.testing.assert_close(ours.fc1.weight.grad, theirs.fc1.weight.grad, rtol=1e-5, atol=1e-6)
