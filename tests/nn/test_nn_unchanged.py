"""Scripts written for snnTorch 1.0 run unchanged: what its documentation does, on both packages."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import snnhw as snn

pytestmark = [
    pytest.mark.usefixtures("one_thread", "plain_torch"),
    pytest.mark.filterwarnings("ignore:The module snntorch.backprop:DeprecationWarning"),  # its own
]

snntorch: Any = pytest.importorskip("snntorch", reason="snntorch is the oracle: pip install snntorch==1.0.0")


def package(library: Any) -> SimpleNamespace:
    """The names under which tutorials import a package's modules."""
    from importlib import import_module

    snntorch.SpikingNeuron.instances.clear()  # a DeltaLeaky anywhere in the process makes its reset fail
    modules = {"SF": "functional"} | {name: name for name in ("backprop", "spikegen", "surrogate", "utils")}
    found = {name: import_module(f"{library.__name__}.{module}") for name, module in modules.items()}
    return SimpleNamespace(snn=library, **found)


# -- constructors --------------------------------------------------------------------------------------

CLASSES = [
    name
    for name, value in vars(snntorch).items()
    if isinstance(value, type) and issubclass(value, nn.Module) and name != "DeltaLeaky"
]


def test_the_classes_are_all_there() -> None:
    assert len(CLASSES) >= 15
    assert all(hasattr(snn, name) for name in [*CLASSES, "DeltaLeaky", "BatchNormTT1d", "BatchNormTT2d"])


@pytest.mark.parametrize("name", [*CLASSES, "BatchNormTT1d", "BatchNormTT2d"])
def test_same_arguments_in_the_same_order_with_the_same_defaults(name: str) -> None:
    theirs = inspect.signature(getattr(snntorch, name)).parameters
    ours = inspect.signature(getattr(snn, name)).parameters
    assert list(ours)[: len(theirs)] == list(theirs)
    for key, parameter in theirs.items():
        documented = (name, key) in (
            ("AssociativeLeaky", "num_spiking_neurons"),
            ("GradedSpikes", "constant_factor"),
        )
        assert ours[key].default == (None if documented else parameter.default), key  # may be left out


def test_the_arguments_of_delta_leaky_are_those_of_leaky_behind_its_own() -> None:
    """snnTorch's passes on whatever it is given."""
    leaky = inspect.signature(snntorch.Leaky).parameters
    ours = inspect.signature(snn.DeltaLeaky).parameters
    assert list(ours)[: 1 + len(leaky)] == ["delta_threshold", *leaky]
    assert all(ours[key].default == leaky[key].default for key in leaky if key != "beta")


# -- its tutorials -------------------------------------------------------------------------------------


def quickstart(lib: SimpleNamespace) -> list[Tensor]:
    """A convolutional network in a Sequential, reset, run step by step, trained on counts of spikes."""
    grad = lib.surrogate.fast_sigmoid()
    options = {"beta": 0.9, "spike_grad": grad, "init_hidden": True}
    net = nn.Sequential(
        nn.Conv2d(1, 3, 5),
        nn.MaxPool2d(2),
        lib.snn.Leaky(**options),
        nn.Flatten(),
        nn.Linear(3 * 4 * 4, 10),
        lib.snn.Leaky(**options, output=True),
    )
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3, betas=(0.9, 0.999))
    loss_fn = lib.SF.mse_count_loss(correct_rate=0.8, incorrect_rate=0.2)
    data, targets, found = torch.rand(4, 1, 12, 12) * 4, torch.tensor([1, 3, 5, 9]), []
    for _ in range(2):
        lib.utils.reset(net)
        spk_rec = torch.stack([net(data)[0] for _ in range(6)])
        loss_val = loss_fn(spk_rec, targets)
        optimizer.zero_grad()
        loss_val.backward()
        optimizer.step()
        found += [spk_rec, loss_val, torch.tensor(lib.SF.accuracy_rate(spk_rec, targets).item())]
    return [*found, *net.parameters()]


def tutorial_2(lib: SimpleNamespace) -> list[Tensor]:
    """Lapicque's neuron under currents and spikes."""
    found = []
    for settings in ({}, {"threshold": 0.5}, {"threshold": 0.5, "reset_mechanism": "zero"}):
        lif = lib.snn.Lapicque(R=5.1, C=5e-3, time_step=1e-3, **settings)
        mem, mem_rec, spk_rec = torch.ones(1) * 0.9, [], []
        for cur in torch.cat((torch.zeros(10, 1), torch.ones(50, 1) * 0.3), 0):
            spk_out, mem = lif(cur, mem)
            mem_rec.append(mem)
            spk_rec.append(spk_out)
        found += [torch.stack(mem_rec), torch.stack(spk_rec), torch.as_tensor(lif.R * lif.C).reshape(1)]
    return found


def tutorial_4(lib: SimpleNamespace) -> list[Tensor]:
    """Neurons of second order, fed numbers without axes and with one."""
    lif1, lif2 = lib.snn.Synaptic(alpha=0.9, beta=0.8), lib.snn.Alpha(alpha=0.8, beta=0.7, threshold=0.5)
    spk_in = torch.cat((torch.ones(1) * 0.4, torch.zeros(4)), 0).repeat(6)
    syn, mem = lif1.init_synaptic()
    syn_exc, syn_inh, other = lif2.init_alpha()
    found = []
    for step in range(30):
        spk_out, syn, mem = lif1(spk_in[step], syn, mem)
        out, syn_exc, syn_inh, other = lif2(spk_in[step].unsqueeze(0) * 2, syn_exc, syn_inh, other)
        found += [spk_out, mem, out.squeeze(0), other.squeeze(0)]
    return found


def tutorial_5(lib: SimpleNamespace) -> list[Tensor]:
    """States made by init_leaky and handed on in forward; a loss on the membranes of all steps."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.fc2 = nn.Linear(6, 8), nn.Linear(8, 3)
            self.lif1, self.lif2 = lib.snn.Leaky(beta=0.95), lib.snn.Leaky(beta=0.95)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
            spikes, membranes = [], []
            for _ in range(9):
                spk1, mem1 = self.lif1(self.fc1(x), mem1)
                spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
                spikes.append(spk2)
                membranes.append(mem2)
            return torch.stack(spikes, dim=0), torch.stack(membranes, dim=0)

    net, loss, targets = Net(), nn.CrossEntropyLoss(), torch.tensor([0, 1, 2, 0])
    spk_rec, mem_rec = net(torch.rand(4, 6) * 3)
    loss_val = torch.zeros(1)
    for step in range(9):
        loss_val += loss(mem_rec[step], targets)
    loss_val.backward()
    return [spk_rec, mem_rec, *(param.grad for param in net.parameters() if param.grad is not None)]


def population(lib: SimpleNamespace) -> list[Tensor]:
    """An epoch in one call; several neurons for each class."""
    net = nn.Sequential(
        nn.Flatten(),
        nn.Linear(12, 9),
        lib.snn.Leaky(beta=0.9, init_hidden=True),
        nn.Linear(9, 8),
        lib.snn.Leaky(beta=0.9, init_hidden=True, output=True),
    )
    loader = [(torch.rand(5, 3, 4) * 5, torch.tensor([0, 1, 2, 3, 0]))] * 2
    loss_fn = lib.SF.mse_count_loss(1.0, 0.0, population_code=True, num_classes=4)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    avg_loss = lib.backprop.BPTT(
        net, loader, num_steps=3, optimizer=optimizer, criterion=loss_fn, time_var=False, device="cpu"
    )
    spk_rec, _ = net(loader[0][0])
    accuracy = lib.SF.accuracy_rate(spk_rec.unsqueeze(0), loader[0][1], population_code=True, num_classes=4)
    return [avg_loss.detach(), spk_rec, torch.tensor(float(accuracy))]


def regression_1(lib: SimpleNamespace) -> list[Tensor]:
    """Decays and thresholds of every neuron; an integrator that is never reset at the end."""
    beta, thr = torch.rand(8), torch.rand(8)
    fc1, fc2 = nn.Linear(1, 8), nn.Linear(8, 1)
    lif = lib.snn.Leaky(beta=beta, threshold=thr, learn_beta=True, spike_grad=lib.surrogate.fast_sigmoid())
    out = lib.snn.Leaky(beta=torch.rand(1), threshold=1.0, learn_beta=True, reset_mechanism="none")
    mem1, mem2, record, x = lif.init_leaky(), out.init_leaky(), [], torch.rand(7, 2, 1) * 3
    for step in range(7):
        spk, mem1 = lif(fc1(x[step, :, :]), mem1)
        _, mem2 = out(fc2(spk), mem2)
        record.append(mem2)
    mem = torch.stack(record)
    F.mse_loss(mem, torch.ones_like(mem)).backward()
    return [mem, lif.beta.grad, out.beta.grad]


def regression_2(lib: SimpleNamespace) -> list[Tensor]:
    """Recurrent neurons, each kind fed one sample without an axis for the batch."""
    layers = [
        (lib.snn.RLeaky(beta=0.9, all_to_all=False), torch.rand(1)),
        (lib.snn.RLeaky(beta=0.9, linear_features=10), torch.rand(10)),
        (lib.snn.RLeaky(beta=0.9, conv2d_channels=3, kernel_size=(5, 5)), torch.rand(3, 9, 9)),
    ]
    found = []
    for rlif, x in layers:
        spk, mem = rlif.init_rleaky()
        for _ in range(10):
            spk, mem = rlif(x, spk, mem)
            found += [spk, mem]
    loss = lib.SF.mse_membrane_loss(on_target=1.05, off_target=0.2)
    return [*found, loss(torch.rand(4, 3, 5), torch.tensor([0, 4, 2])).reshape(())]


def autoencoder(lib: SimpleNamespace) -> list[Tensor]:
    """Three parts, each reset by itself; convolutions there and back; an output that never fires."""
    options = {"beta": 0.5, "spike_grad": lib.surrogate.atan(alpha=2.0), "init_hidden": True}
    encoder = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, stride=2),
        nn.BatchNorm2d(4),
        lib.snn.Leaky(**options, threshold=0.4),
        nn.Flatten(start_dim=1, end_dim=3),
        nn.Linear(4 * 4 * 4, 6),
        lib.snn.Leaky(**options, output=True, threshold=0.2),
    )
    middle = nn.Sequential(nn.Linear(6, 64), lib.snn.Leaky(**options, output=True, threshold=0.1))
    decoder = nn.Sequential(
        nn.Unflatten(1, (4, 4, 4)),
        lib.snn.Leaky(**options),
        nn.ConvTranspose2d(4, 1, 3, padding=1, stride=(2, 2), output_padding=1),
        lib.snn.Leaky(**options, output=True, threshold=20000),
    )
    for part in (encoder, decoder, middle):
        lib.utils.reset(part)
    image = torch.rand(3, 1, 8, 8) * 3
    spikes = torch.stack([encoder(image)[0] for _ in range(5)], dim=2)
    membranes = [decoder(middle(spikes[..., step])[0])[1] for step in range(5)]
    F.mse_loss(membranes[-1], image).backward()
    return [spikes, membranes[-1], encoder[0].weight.grad]


SCRIPTS: list[Callable[[SimpleNamespace], list[Tensor]]] = [
    quickstart,
    tutorial_2,
    tutorial_4,
    tutorial_5,
    population,
    regression_1,
    regression_2,
    autoencoder,
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_its_tutorials_give_the_same_numbers(script: Callable[[SimpleNamespace], list[Tensor]]) -> None:
    found = []
    for library in (snn, snntorch):
        torch.manual_seed(3)
        found.append(script(package(library)))
    ours, theirs = found
    assert any(value.count_nonzero() for value in theirs)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


# -- calls ---------------------------------------------------------------------------------------------


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
