"""snnTorch's parent classes, and neuron classes put together from them."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnhw as snn
from snnhw.functional import quant

pytestmark = [
    pytest.mark.usefixtures("one_thread", "plain_torch"),
    pytest.mark.filterwarnings("ignore:Inhibition is an unstable feature:UserWarning"),  # snnTorch's own
]

T, B, N = 8, 3, 5

LEAKING = [
    "Alpha",
    "DeltaLeaky",
    "Lapicque",
    "Leaky",
    "LinearLeaky",
    "RLeaky",
    "RSynaptic",
    "StateLeaky",
    "Synaptic",
]
OTHERS = ["AssociativeLeaky", "SConv2dLSTM", "SLSTM"]


def signal() -> Tensor:
    return torch.rand(T, B, N, generator=torch.Generator().manual_seed(0)) * 2


def of_its_own(library: Any) -> Any:
    """The same neuron on either library: a threshold that rises with every spike."""

    class Adaptive(library.LIF):  # type: ignore[misc]  # of either library
        def __init__(self, beta: float, jump: float = 0.1, **options: Any) -> None:
            super().__init__(beta, **options)
            self.jump = nn.Parameter(torch.tensor(jump))

        def forward(self, x: Tensor, mem: Tensor, level: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            mem = self.beta.clamp(0, 1) * mem + x - self.mem_reset(mem - level) * self.threshold
            fire = self.fire_inhibition(len(mem), mem - level) if self.inhibition else self.fire(mem - level)
            return fire, mem, 0.9 * level + self.jump * fire

    return Adaptive


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "learnt": {"learn_beta": True, "learn_threshold": True},
    "graded": {"graded_spikes_factor": 2.0, "learn_graded_spikes_factor": True},
    "inhibited": {"inhibition": True},
    "no gradient": {"surrogate_disable": True},
    "quantised": {"state_quant": quant.state_quant(num_bits=3, threshold=1)},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_a_class_of_ones_own_computes_what_it_does_in_snntorch(name: str) -> None:
    library = pytest.importorskip("snntorch", reason="snntorch is the oracle: pip install snntorch==1.0.0")
    found = []
    for side in (snn, library):
        layer = of_its_own(side)(0.8, **OPTIONS[name])
        x, mem, level = signal().requires_grad_(), torch.zeros(B, N), torch.zeros(B, N)
        spikes, total = [], torch.zeros(())
        for now in x:
            spk, mem, level = layer(now, mem, level)
            spikes.append(spk)
            total = total + (spk * torch.arange(N)).sum() + (mem * 0.5).sum()
        total.backward()
        grads = {key: param.grad for key, param in layer.named_parameters() if param.grad is not None}
        found.append([torch.stack(spikes), mem, x.grad, *(grads[key] for key in sorted(grads))])
    ours, theirs = found
    assert len(ours) == len(theirs)
    assert 0 < ours[0].mean() < 2
    for mine, wanted in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, wanted, rtol=1e-5, atol=1e-6)


def test_a_class_of_ones_own_is_copied_and_saved() -> None:
    layer = of_its_own(snn)(0.8, learn_beta=True)
    again = of_its_own(snn)(0.5, learn_beta=True)
    again.load_state_dict(layer.state_dict())
    wanted = layer(signal()[0], torch.ones(B, N), torch.zeros(B, N))
    for twin in (again, copy.deepcopy(layer)):
        for mine, theirs in zip(twin(signal()[0], torch.ones(B, N), torch.zeros(B, N)), wanted, strict=True):
            assert torch.equal(mine, theirs)


def test_who_descends_from_whom() -> None:
    for name in LEAKING:
        assert issubclass(getattr(snn, name), snn.LIF), name
    for name in OTHERS:
        assert issubclass(getattr(snn, name), snn.SpikingNeuron), name
        assert not issubclass(getattr(snn, name), snn.LIF), name
    own = snn.neuron("Own", states="v", equations={"v": "v + x"}, fire="v - 1")
    assert issubclass(own, snn.SpikingNeuron)


def test_parents_by_themselves() -> None:
    x = signal()
    assert torch.equal(snn.SpikingNeuron(threshold=0.7)(x[0])[0], (x[0] > 0.7).float())
    lif, leaky = snn.LIF(0.8), snn.Leaky(0.8)
    for now in x:
        for mine, theirs in zip(lif(now), leaky(now), strict=True):
            assert torch.equal(mine, theirs)


def test_a_surrogate_may_be_set() -> None:
    layer: Any = snn.Leaky(0.8, surrogate_disable=True)
    x = torch.full((1, 1), 1.5, requires_grad=True)
    assert layer.surrogate_disable
    (grad,) = torch.autograd.grad(layer(x, torch.zeros(1))[0].sum(), [x])
    assert grad.tolist() == [[0]]
    assert layer.spike_grad(x).tolist() == [[1]]
    layer.spike_grad = snn.surrogate.straight_through_estimator
    layer.spike_grad = snn.surrogate.straight_through_estimator()
    (grad,) = torch.autograd.grad(layer(x, torch.zeros(1))[0].sum(), [x])
    assert grad.tolist() == [[1]]
    assert not layer.surrogate_disable


def test_what_rounds_states() -> None:
    assert snn.Leaky(0.8).state_quant is False
    layer: Any = snn.Leaky(0.8, state_quant=torch.tensor([0.0, 1.0]))
    assert layer.state_quant(torch.tensor([0.2, 0.7])).tolist() == [0, 1]


def test_a_graph_is_cut_in_place() -> None:
    mem = torch.ones(1, requires_grad=True) * 2
    snn.Leaky.detach(mem)
    assert not mem.requires_grad


def test_what_would_reach_every_network_says_what_to_do() -> None:
    assert snn.Leaky.instances == ()
    with pytest.raises(
        TypeError, match=r"Leaky.reset_hidden\(\) would reach .* call snnhw.utils.reset\(net\)"
    ):
        snn.Leaky.reset_hidden()
    with pytest.raises(TypeError, match=r"RLeaky.detach_hidden\(\) would reach .* detach_hidden\(\) of each"):
        snn.RLeaky.detach_hidden()
    layer: Any = snn.Leaky(0.8, init_hidden=True)
    layer(torch.ones(1, 2))
    layer.reset_hidden()
    assert layer.mem.numel() == 0
