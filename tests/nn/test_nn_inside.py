"""Layers inside neurons, changed by torch's own tools: as in snnTorch."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from nn_pairs import B, N, T, signal, theirs
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune

import snnhw as snn
from snnhw.errors import InputError

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")


class Half(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight * 0.5


CHANGES: dict[str, Callable[[nn.Module, str], Any]] = {
    "spectral norm": parametrizations.spectral_norm,
    "weight norm": parametrizations.weight_norm,
    "pruned": lambda layer, name: prune.l1_unstructured(layer, name, 0.5),
    "halved": lambda layer, name: parametrize.register_parametrization(layer, name, Half()),
}


@pytest.mark.parametrize("what", CHANGES)
def test_weights_of_a_parallel_layer_may_be_computed_from_others(what: str) -> None:
    pair: list[Any] = [
        library.LeakyParallel(N, N, weight_hh_enable=True, threshold=0.3) for library in (snn, theirs)
    ]
    pair[0].load_state_dict(pair[1].state_dict())
    found = []
    for layer in pair:
        for name in ("weight_ih_l0", "weight_hh_l0"):
            torch.manual_seed(1)
            CHANGES[what](layer.rnn, name)
        x = signal("Leaky").requires_grad_()
        spikes = layer(x)
        spikes.sum().backward()
        found.append((spikes.detach(), x.grad))
    for mine, wanted in zip(*found, strict=True):
        torch.testing.assert_close(mine, wanted, rtol=1e-4, atol=1e-4)  # gradients are long sums
    with pytest.raises(InputError, match=r"weight_hh_enable\(\): 'rnn.weight_hh_l0' is computed, .* before"):
        pair[0].weight_hh_enable()


def test_a_diagonal_that_is_pruned_is_saved_and_loaded() -> None:
    layer: Any = snn.LeakyParallel(N, 3, threshold=0.3)
    prune.l1_unstructured(layer.rnn, "weight_hh_l0", 7)  # the 6 beside the diagonal, and one on it
    other: Any = snn.LeakyParallel(N, 3, threshold=0.3)
    prune.random_unstructured(other.rnn, "weight_hh_l0", 7)
    other.load_state_dict(copy.deepcopy(layer.state_dict()))
    assert layer.rnn.weight_hh_l0.count_nonzero() == 2
    assert torch.equal(other(signal("Leaky")), layer(signal("Leaky")))


def test_a_hook_in_a_layer_of_sequences_sees_what_it_sees_in_snntorch() -> None:
    for library in (snn, theirs):
        layer, seen = library.LinearLeaky(0.5, N, 3), list[tuple[int, ...]]()
        layer.linear.register_forward_hook(lambda _, args, out, s=seen: s.extend((args[0].shape, out.shape)))
        layer(signal("Leaky"))
        assert seen == [(T * B, N), (T * B, 3)]


def test_a_copy_of_a_neuron_with_a_parametrized_decay_is_another_layer_with_its_states() -> None:
    layer: Any = snn.Leaky(0.9, learn_beta=True)
    parametrize.register_parametrization(layer, "beta", Half())
    x = signal("Leaky")
    layer(x[0])
    own = copy.deepcopy(layer)
    assert torch.equal(own.mem, layer.mem)
    assert own._hw_number != layer._hw_number
    assert own in snn.SpikingNeuron.instances
    assert own.parametrizations.beta.original is not layer.parametrizations.beta.original
    for mine, wanted in zip(own(x[1]), layer(x[1]), strict=True):
        assert torch.equal(mine, wanted)


# -- Neurons that hear themselves alone -------------------------------------------------------------

ONE: dict[str, Callable[[Any, bool], Any]] = {
    "RLeaky": lambda library, learnt: library.RLeaky(
        0.9, V=torch.tensor([0.5, 0.3, 0.2, 0.4]), all_to_all=False, learn_recurrent=learnt
    ),
    "RSynaptic": lambda library, learnt: library.RSynaptic(
        0.8, 0.9, V=torch.tensor([0.5, 0.3, 0.2, 0.4]), all_to_all=False, learn_recurrent=learnt
    ),
}
one = pytest.mark.parametrize("name", ONE)


def names(layer: nn.Module) -> list[list[str]]:
    return [
        [name for name, _ in layer.named_modules()],
        [name for name, _ in layer.named_parameters()],
        [name for name, _ in layer.named_parameters(remove_duplicate=False)],
        sorted(name for name, _ in layer.named_buffers()),
        list(layer.state_dict()),
    ]


@one
@pytest.mark.parametrize("learnt", [False, True])
def test_what_multiplies_their_spikes_is_a_module_of_the_network(name: str, learnt: bool) -> None:
    ours, other = (ONE[name](library, learnt) for library in (snn, theirs))
    assert names(ours) == names(other)
    assert ours.recurrent.V is ours.V
    shapes: list[torch.Size] = []
    ours.recurrent.register_forward_hook(lambda _, args, out: shapes.extend((args[0].shape, out.shape)))
    ours(signal("Leaky")[0])
    assert shapes == [(B, N), (B, N)]


@one
@pytest.mark.parametrize("what", ["pruned", "halved"])
def test_what_multiplies_their_spikes_may_be_changed_on_either_side(name: str, what: str) -> None:
    found = []
    for library, side in ((theirs, "recurrent"), (snn, "recurrent"), (snn, "")):
        layer = ONE[name](library, True)
        CHANGES[what](layer.get_submodule(side), "V")
        spk, *_, mem = layer(signal("Leaky")[0])
        before, x = [state.detach() for state in (spk, *_, mem)], signal("Leaky")[1]
        spk, *_, mem = layer(x, *before)
        mem.sum().backward()
        (param,) = (p for p in layer.parameters() if p.grad is not None)
        found.append((spk.detach(), mem.detach(), param.grad))
        if library is snn:
            again = copy.deepcopy(layer)(x, *before)  # after a call, which has computed V
            assert torch.equal(again[-1], mem)
    for other in found[1:]:
        for mine, wanted in zip(other, found[0], strict=True):
            torch.testing.assert_close(mine, wanted)


@one
@pytest.mark.parametrize("learnt", [False, True])
def test_it_stays_the_same_tensor(name: str, learnt: bool) -> None:
    layer = ONE[name](snn, learnt)
    layer.V = nn.Parameter(torch.ones(N)) if learnt else torch.ones(N)
    for each in (layer, layer.double(), copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert each.recurrent.V is each.V
        assert each._hw_unusual() is None
    state = {key: 2 * value for key, value in layer.state_dict().items()}
    layer.load_state_dict(state, assign=True)
    assert layer.recurrent.V.tolist() == [2.0] * N
    layer.recurrent.V = nn.Parameter(torch.zeros(N)) if learnt else torch.zeros(N)
    assert layer._hw_unusual() == "recurrent"  # called as it is, as in snnTorch


@one
def test_files_have_either_name_of_it_or_both(name: str) -> None:
    wanted = torch.tensor([0.5, 0.3, 0.2, 0.4]) + 1
    for learnt in (False, True):
        for keys in (["V"], ["recurrent.V"], ["V", "recurrent.V"]):
            layer = ONE[name](snn, learnt)
            state = {k: v for k, v in layer.state_dict().items() if not k.endswith("V")}
            nn.ModuleDict({"lif": layer}).load_state_dict(
                {f"lif.{key}": value for key, value in {**state, **dict.fromkeys(keys, wanted)}.items()}
            )
            assert torch.equal(layer.V, wanted)
            assert layer.recurrent.V is layer.V


def test_a_module_that_was_saved_whole_without_it_has_it() -> None:
    layer = ONE["RLeaky"](snn, True)
    state = layer.__getstate__()
    state["_modules"] = {}
    old = object.__new__(snn.RLeaky)
    old.__setstate__(state)
    assert old.recurrent.V is old.V


# -- The matrix of a parallel layer -----------------------------------------------------------------


def test_an_optimizer_goes_on_from_snntorch_and_back() -> None:
    layers = [
        library.LeakyParallel(N, 3, beta=0.5, threshold=0.1, learn_beta=True) for library in (theirs, snn)
    ]
    other, ours = layers
    optimizers = [torch.optim.Adam(layer.parameters(), lr=0.01, weight_decay=0.1) for layer in layers]
    assert [(k, p.shape) for k, p in ours.named_parameters()] == [
        (k, p.shape) for k, p in other.named_parameters()
    ]
    assert torch.equal(ours.beta, other.beta)
    for source, target in ((0, 1), (1, 0)):
        layers[target].load_state_dict(copy.deepcopy(layers[source].state_dict()))
        optimizers[target].load_state_dict(copy.deepcopy(optimizers[source].state_dict()))
        for _ in range(3):
            for layer, optimizer in zip(layers, optimizers, strict=True):
                optimizer.zero_grad()
                layer(signal("Leaky")).square().sum().backward()
                optimizer.step()
        for mine, wanted in zip(ours.parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(mine, wanted)


def test_a_diagonal_that_was_saved_whole_becomes_a_matrix() -> None:
    layer = snn.LeakyParallel(N, 3, threshold=0.1)
    x = signal("Leaky")
    wanted, rnn = layer(x), layer.rnn
    rnn.weight_hh_l0.data = rnn.weight_hh_l0.data.diagonal().clone()
    rnn.__setstate__(rnn.__getstate__())
    assert torch.equal(layer(x), wanted)
    layer.load_state_dict(layer.state_dict())


def test_a_compiled_diagonal_is_written_back() -> None:
    net: Any = nn.Sequential(snn.LeakyParallel(N, 3, beta=0.5, threshold=0.1, learn_beta=True))
    x, y = signal("Leaky"), torch.tensor([0, 1, 2])
    torch_net = copy.deepcopy(net)
    snn.functional.ce_rate_loss()(torch_net(x), y).backward()
    (grad,) = (p.grad for name, p in torch_net.named_parameters() if "weight_hh" in name)
    settings: Any = {"loss": snn.functional.ce_rate_loss(), "optimizer": snn.optim.SGD(lr=1.0)}
    with snn.compile(net, x[0], backend="cpu", time_steps=T, **settings) as model:
        model.step(x, y)
        model.write_back(net)
    torch.testing.assert_close(net[0].rnn.weight_hh_l0, 0.5 * torch.eye(3) - grad)


def test_a_neuron_that_is_pruned_is_copied_after_a_call() -> None:
    layer: Any = snn.Leaky(torch.rand(N), learn_beta=True, init_hidden=True)
    prune.l1_unstructured(layer, "beta", 2)
    x = signal("Leaky")
    layer(x[0].requires_grad_())
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert other._hw_number != layer._hw_number
        assert torch.equal(other(x[1]), copy.deepcopy(layer)(x[1]))
        other.mem.sum().backward()
        assert other.beta_orig.grad is not None
