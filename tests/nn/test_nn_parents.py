"""snnTorch's parent classes, and neuron classes put together from them."""

from __future__ import annotations

import copy
import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import snnhw as snn
from snnhw import functional as SF
from snnhw.errors import CaptureError, InputError
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
    own = snn.neuron("Own", states="v", equations={"v": "v + x"}, fire="v - 1", reset="none")
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


def test_a_class_reaches_all_its_layers_and_a_layer_itself() -> None:
    x = torch.ones(1, 2, requires_grad=True)
    layers: list[Any] = [
        *(snn.Leaky(0.8, init_hidden=True) for _ in range(2)),
        snn.RSynaptic(0.5, 0.8, all_to_all=False, init_hidden=True),
    ]
    for layer in layers:
        layer(x)
    copied = copy.deepcopy(layers[1])
    snn.Leaky.detach_hidden()
    assert [layer.mem.requires_grad for layer in layers] == [False, False, True]
    layers[0].reset_hidden()
    assert [layer.mem.numel() for layer in layers] == [0, 2, 2]
    snn.Leaky.reset_hidden()
    assert [layer.mem.numel() for layer in [*layers, copied]] == [0, 0, 2, 0]
    snn.RSynaptic.detach_hidden()
    assert not layers[2].spk.requires_grad


def test_a_parent_leaves_the_states_of_a_subclass_to_it() -> None:
    for library in (snn, pytest.importorskip("snntorch", reason="snntorch is the oracle")):

        def made(parent: Any) -> Any:
            class Laid(parent):  # type: ignore[misc]  # of either library
                mem: Tensor
                trace: Tensor

                def __init__(self) -> None:
                    super().__init__(0.9)
                    self.size = 2
                    self._init_mem()

                def _init_mem(self) -> None:
                    self.register_buffer("mem", torch.zeros(self.size), False)
                    self.register_buffer("trace", torch.zeros(self.size), False)

                def forward(self, x: Tensor) -> Any:
                    self.reset = self.mem_reset(self.mem)
                    self.mem = self.beta * self.mem + x - self.reset * self.threshold
                    self.trace = self.trace + self.mem
                    return self.fire(self.mem)

            return Laid()

        layer = made(library.LIF)
        spikes = [layer(torch.tensor([0.4, 1.2])).tolist() for _ in range(3)]
        assert spikes == [[0, 1], [0, 1], [1, 1]]
        assert not {"mem", "trace"} & layer.state_dict().keys()


def test_a_decay_of_a_layer_of_sequences_may_be_another_parameter() -> None:
    layer: Any = snn.StateLeaky(0.5, N)
    layer.beta = nn.Parameter(torch.tensor(0.7))
    layer(signal())[1].sum().backward()
    assert layer.beta.grad is not None


def test_neurons_are_listed_as_long_as_they_live() -> None:
    layer, other = snn.Leaky(0.5), snn.SLSTM(2, 2)
    assert list(snn.SpikingNeuron.instances)[-2:] == [layer, other]
    assert snn.Leaky.instances is snn.SpikingNeuron.instances
    assert snn.SpikingNeuron.instances[-1] is other
    count = len(snn.SpikingNeuron.instances)
    del other
    gc.collect()
    assert len(snn.SpikingNeuron.instances) < count
    assert copy.deepcopy(layer) is not snn.SpikingNeuron.instances[0]
    snn.SpikingNeuron.init()
    assert len(snn.SpikingNeuron.instances) == 0
    del layer
    gc.collect()
    assert isinstance(snn.SpikingNeuron.instances[:], list)


def test_states_are_buffers_that_no_state_dict_holds() -> None:
    library = pytest.importorskip("snntorch", reason="snntorch is the oracle: pip install snntorch==1.0.0")
    for name, given in {"Leaky": (0.5,), "RSynaptic": (0.5, 0.5, 1.0, False), "SLSTM": (2, 2)}.items():
        ours, theirs = (getattr(each, name)(*given) for each in (snn, library))
        assert {n for n, _ in ours.named_buffers()} == {n for n, _ in theirs.named_buffers()}
        assert not {"mem", "syn", "spk"} & ours.state_dict().keys()
    layer: Any = snn.Leaky(0.5, init_hidden=True)
    layer(torch.ones(1, 2))
    assert layer.double().mem.dtype == torch.float64


def test_zeros_has_no_effect_and_says_so() -> None:
    mem = torch.ones(2)
    with pytest.warns(UserWarning, match=r"zeros\(...\) has no effect, as in snnTorch"):
        snn.Leaky.zeros(mem)
    assert mem.tolist() == [1, 1]


def test_states_may_be_numbers_or_arrays() -> None:
    x = torch.ones(2, 3)
    wanted = snn.Leaky(0.9)(x, torch.full((2, 3), 0.5))
    for given in (0.5, np.full((2, 3), 0.5), torch.tensor(0.5)):
        for mine, theirs in zip(snn.Leaky(0.9)(x, given), wanted, strict=True):
            assert torch.equal(mine, theirs)
    assert torch.equal(snn.Synaptic(0.8, 0.9)(x, 0, mem=0.0)[2], x)
    with pytest.raises(InputError, match="Leaky: state 'mem' is 'rest'; pass a tensor of the input's shape"):
        snn.Leaky(0.9)(x, "rest")
    with pytest.raises(TypeError, match="keeps its states inside"):
        snn.Leaky(0.9, init_hidden=True)(x, 0.0)


OUTER: dict[str, Callable[[Tensor], Any]] = {
    "Synaptic": lambda w: snn.Synaptic(alpha=w * 0.8, beta=0.9),
    "Alpha": lambda w: snn.Alpha(alpha=w * 0.9, beta=0.8),
    "Lapicque": lambda w: snn.Lapicque(R=w * 2.0, C=3.0),
    "Lapicque's decay": lambda w: snn.Lapicque(beta=w * 0.7),
    "RLeaky": lambda w: snn.RLeaky(beta=w * 0.9, V=0.5, all_to_all=False),
    "RLeaky's V": lambda w: snn.RLeaky(beta=0.9, V=w * 0.5, all_to_all=False, learn_recurrent=False),
    "the threshold": lambda w: snn.RSynaptic(0.8, 0.9, threshold=w, V=0.5, all_to_all=False),
    "the factor": lambda w: snn.Leaky(beta=0.9, graded_spikes_factor=w * 1.0),
    "SLSTM": lambda w: snn.SLSTM(5, 5, threshold=w * 0.1),
    "StateLeaky": lambda w: snn.StateLeaky(beta=w * 0.9, channels=5),
    "DeltaLeaky": lambda w: snn.DeltaLeaky(w * 0.3, beta=0.5),
}


@pytest.mark.parametrize("name", OUTER)
def test_a_gradient_reaches_the_tensor_that_a_constructor_is_given(name: str) -> None:
    w = nn.Parameter(torch.tensor(1.0))
    layer = OUTER[name](w)
    found = (
        [layer(signal())]
        if name == "StateLeaky"
        else [layer(x, *[(0, 0)] * (name == "DeltaLeaky" and not i)) for i, x in enumerate(signal())]
    )
    parts = [(part**2).sum() for step in found for part in step if isinstance(part, Tensor)]
    torch.stack(parts).sum().backward()
    assert w.grad is not None
    assert w.grad.item() != 0
    assert "beta" not in dict(layer.named_parameters())


def test_a_parameter_may_be_shared_between_layers() -> None:
    threshold = nn.Parameter(torch.tensor(0.7))
    first, second = (snn.Leaky(0.9, threshold=threshold, learn_threshold=learn) for learn in (False, True))
    assert first.threshold is second.threshold is threshold
    assert [name for name, _ in first.named_parameters()] == []
    assert list(second.parameters()) == [threshold]
    assert "learn_threshold" not in repr(first)
    assert "learn_threshold=True" in repr(second)
    twin = copy.deepcopy(nn.ModuleList([first, second]))
    assert twin[0].threshold is twin[1].threshold


LEARNT: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "Leaky": ((0.5,), {"learn_beta": True, "learn_threshold": True, "learn_graded_spikes_factor": True}),
    "Synaptic": ((0.5, 0.6), {"learn_alpha": True, "learn_beta": True, "learn_threshold": True}),
    "RLeaky": ((0.5,), {"V": 0.5, "all_to_all": False, "learn_beta": True, "learn_threshold": True}),
    "RSynaptic": (
        (0.5, 0.6),
        {"linear_features": 2, "learn_alpha": True, "learn_beta": True, "learn_threshold": True},
    ),
    "SLSTM": ((2, 3), {"learn_threshold": True}),
    "SConv2dLSTM": ((1, 2, 3), {"learn_threshold": True}),
    "LeakyParallel": (
        (2, 3),
        {"learn_beta": True, "learn_threshold": True, "learn_graded_spikes_factor": True},
    ),
}


@pytest.mark.parametrize("name", LEARNT)
def test_parameters_come_in_the_order_in_which_optimizers_of_snntorch_count_them(name: str) -> None:
    library = pytest.importorskip("snntorch", reason="snntorch is the oracle: pip install snntorch==1.0.0")
    given, options = LEARNT[name]
    ours, theirs = (getattr(each, name)(*given, **options) for each in (snn, library))
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]


def test_a_shared_parameter_is_trained_by_a_compiled_model_and_a_computed_one_refused() -> None:
    threshold = nn.Parameter(torch.tensor(0.7))
    net = nn.Sequential(
        nn.Linear(N, N), snn.Leaky(0.9, threshold=threshold, init_hidden=True), nn.Linear(N, N),
        snn.Leaky(0.9, threshold=threshold, init_hidden=True, output=False),
    )  # fmt: skip
    with snn.compile(
        net,
        signal()[0],
        backend="cpu",
        time_steps=T,
        loss=SF.ce_count_loss(),
        optimizer=snn.optim.SGD(lr=0.1),
    ) as model:
        model.step(signal(), torch.tensor([0, 1, 2]))
        model.write_back(net)
    assert threshold.item() != pytest.approx(0.7)
    net[1] = snn.Leaky(0.9, threshold=threshold * 2, init_hidden=True)
    with pytest.raises(
        CaptureError, match=r"the 'threshold' of '1' is computed from a tensor .* not reach; give"
    ):
        snn.capture(net, signal()[0])
