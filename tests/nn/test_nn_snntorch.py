"""Neuron modules against snnTorch 1.0 itself."""

from __future__ import annotations

import inspect
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnhw as snn

pytestmark = [
    pytest.mark.usefixtures("one_thread", "plain_torch"),
    pytest.mark.filterwarnings("ignore:Inhibition is an unstable feature:UserWarning"),  # snnTorch's own
]

snntorch = pytest.importorskip("snntorch", reason="snntorch is the oracle: pip install snntorch==1.0.0")

CONVOLUTION: dict[str, Any] = {"in_channels": 2, "out_channels": 3, "kernel_size": 3, "threshold": 0.02}
RECURRENT: dict[str, Any] = {"beta": 0.8, "all_to_all": False, "V": 0.3}
LAYERS: dict[str, tuple[str, dict[str, Any], tuple[int, ...]]] = {
    "Leaky": ("Leaky", {"beta": 0.8}, (6,)),
    "Leaky-vector": (
        "Leaky",
        {"beta": torch.linspace(0.3, 0.9, 6), "threshold": torch.full((6,), 0.8)},
        (6,),
    ),
    "Leaky-inhibited": ("Leaky", {"beta": 0.8, "inhibition": True}, (6,)),
    "Synaptic": ("Synaptic", {"alpha": 0.7, "beta": 0.8}, (6,)),
    "Lapicque-RC": ("Lapicque", {"R": 2.0, "C": 3.0}, (6,)),
    "Lapicque-beta": ("Lapicque", {"beta": 0.6}, (6,)),
    "Alpha": ("Alpha", {"alpha": 0.9, "beta": 0.6, "threshold": 0.1}, (6,)),
    "RLeaky-one": ("RLeaky", RECURRENT, (6,)),
    "RLeaky-inhibited": ("RLeaky", {**RECURRENT, "inhibition": True}, (6,)),
    "RLeaky-linear": ("RLeaky", {"beta": 0.8, "linear_features": 6}, (6,)),
    "RLeaky-conv": ("RLeaky", {"beta": 0.8, "conv2d_channels": 2, "kernel_size": 3}, (2, 3, 3)),
    "RSynaptic-one": ("RSynaptic", {"alpha": 0.7, **RECURRENT}, (6,)),
    "RSynaptic-linear": ("RSynaptic", {"alpha": 0.7, "beta": 0.8, "linear_features": 6}, (6,)),
    "SLSTM": ("SLSTM", {"input_size": 6, "hidden_size": 6, "threshold": 0.05}, (6,)),
    "SConv2dLSTM": ("SConv2dLSTM", CONVOLUTION, (2, 4, 4)),
    "SConv2dLSTM-max": ("SConv2dLSTM", {**CONVOLUTION, "max_pool": 2}, (2, 4, 4)),
    "SConv2dLSTM-avg": ("SConv2dLSTM", {**CONVOLUTION, "avg_pool": 2}, (2, 4, 4)),
}
"""What is tried -> the class, what it is constructed with, the shape of one sample."""

SAME_BITS = {"Leaky", "Leaky-vector", "Synaptic", "Lapicque-RC", "Lapicque-beta"}
"""Sums and products in the same order give equal bits; others meet products of matrices, exponentials, or
a reset that multiplies once where snnTorch multiplies and subtracts."""

CLASSES = [
    *sorted({kind for kind, _, _ in LAYERS.values()}),
    "AssociativeLeaky",
    "LeakyParallel",
    "LinearLeaky",
    "StateLeaky",
]

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


def differs(name: str, settings: dict[str, Any]) -> str:
    """Why a cell differs from snnTorch 1.0 on purpose; empty where it must not."""
    if name.startswith("RSynaptic") and not settings["reset_delay"]:
        return "snnTorch fails without passed spikes, and forgets the reset with them"
    if name.startswith("Lapicque") and settings["learn_beta"]:
        return "snnTorch fails: what follows from beta is computed once"
    if "inhibited" in name and settings.get("graded_spikes_factor", 1.0) != 1.0:
        return "snnTorch forgets the factor of the winner's spike"
    return ""


@pytest.mark.parametrize("settings", pairwise_cover(), ids=lambda s: "-".join(map(str, s.values())))
@pytest.mark.parametrize("name", LAYERS)
def test_same_returns_and_gradients(name: str, settings: dict[str, Any]) -> None:
    compare(name, settings)


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYERS)
def test_same_returns_and_gradients_under_all_options(name: str) -> None:
    for values in product(*OPTIONS.values()):
        compare(name, dict(zip(OPTIONS, values, strict=True)))


def compare(name: str, settings: dict[str, Any]) -> None:
    torch.manual_seed(2)
    kind, told, shape = LAYERS[name]
    if differs(name, settings):
        return
    known = inspect.signature(getattr(snntorch, kind)).parameters
    told = {**told, **{key: value for key, value in settings.items() if key in known}}
    theirs, ours = getattr(snntorch, kind)(**told), getattr(snn, kind)(**told)
    ours.load_state_dict(theirs.state_dict())
    xs = torch.rand(12, 4, *shape, generator=torch.Generator().manual_seed(1)) * 2 - 0.4
    wanted, wanted_dx, wanted_grads = run(theirs, xs, settings["init_hidden"])
    found, dx, grads = run(ours, xs, settings["init_hidden"])
    assert len(found) == len(wanted)
    assert torch.equal(found[0], wanted[0]), "spikes"
    assert wanted[0].count_nonzero() > 5
    rtol, atol = (0.0, 0.0) if name in SAME_BITS else (1e-4, 3e-5)
    torch.testing.assert_close(found, wanted, rtol=rtol, atol=atol)
    torch.testing.assert_close(dx, wanted_dx, rtol=1e-4, atol=3e-5)
    assert grads.keys() == {key.replace("recurrent.V", "V") for key in wanted_grads}
    for key, wanted_grad in wanted_grads.items():
        mine = grads[key.replace("recurrent.V", "V")]
        torch.testing.assert_close(mine, wanted_grad, rtol=1e-3, atol=1e-4, msg=key)


@pytest.mark.parametrize("name", CLASSES)
def test_same_arguments_in_the_same_order_with_the_same_defaults(name: str) -> None:
    theirs = inspect.signature(getattr(snntorch, name)).parameters
    ours = inspect.signature(getattr(snn, name)).parameters
    assert [key for key in ours if key in theirs] == list(theirs)
    for key, parameter in theirs.items():
        if key == "num_spiking_neurons":
            continue  # may be left out, as snnTorch's documentation says
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
