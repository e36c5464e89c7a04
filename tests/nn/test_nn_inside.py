"""Layers inside neurons, changed by torch's own tools: as in snnTorch."""

from __future__ import annotations

import copy
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
    prune.l1_unstructured(layer.rnn, "weight_hh_l0", 1)
    other: Any = snn.LeakyParallel(N, 3, threshold=0.3)
    prune.random_unstructured(other.rnn, "weight_hh_l0", 1)
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
