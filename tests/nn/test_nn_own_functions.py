"""What of a neuron may be a function or module of somebody's own: its spikes, and what rounds its states."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from nn_pairs import RESETS, N, Soft, T, pair, same, signal, theirs
from torch import Tensor, nn

import snnhw as snn
from snnhw.errors import CaptureError, InputError
from snnhw.functional import quant
from snnhw.ir.composites import inhibited

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")


FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "soft": torch.sigmoid,
    "ternary": lambda z: torch.sign(z) + z - z.detach(),
    "levels": lambda z: torch.floor(z + 1).clamp(0, 3) + z - z.detach(),
    "at the threshold": lambda z: (z >= 0).float() + z - z.detach(),
    "random": lambda z: torch.bernoulli(torch.sigmoid(z).detach()) + z - z.detach(),
}


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_spikes_are_what_a_function_returns(function: str, reset: str) -> None:
    for name in ("Leaky", "Synaptic", "RLeaky"):
        ours, other = pair(
            name, spike_grad=FUNCTIONS[function], reset_mechanism=reset, reset_delay=reset == "none"
        )
        x, found = signal(name), []
        for layer in (ours, other):
            torch.manual_seed(3)
            given = x.clone().requires_grad_()
            steps = [layer(now) for now in given]
            sum(part.square().sum() for parts in steps for part in parts).backward()
            found.append([*(part.detach() for parts in steps for part in parts), given.grad])
        for mine, wanted in zip(*found, strict=True):
            torch.testing.assert_close(mine, wanted, rtol=1e-4, atol=1e-4)
    assert snn.Leaky(0.9, spike_grad=FUNCTIONS[function]).spike_grad is FUNCTIONS[function]


def test_so_are_they_of_layers_that_take_sequences() -> None:
    x = signal("Leaky")
    ours, other = (library.StateLeaky(0.5, N, spike_grad=torch.sigmoid) for library in (snn, theirs))
    for mine, wanted in zip(ours(x), other(x), strict=True):
        torch.testing.assert_close(mine, wanted)
    parallel, other = (library.LeakyParallel(N, 5, spike_grad=torch.sigmoid) for library in (snn, theirs))
    parallel.load_state_dict(other.state_dict())
    torch.testing.assert_close(parallel(x), other(x))
    theirs_alone = theirs.AssociativeLeaky(N, 2, 2, 4)
    alone: Any = snn.AssociativeLeaky(N, 2, 2)
    theirs_alone.spike_grad = alone.spike_grad = torch.sigmoid
    alone.load_state_dict(theirs_alone.state_dict())
    torch.testing.assert_close(alone(x), theirs_alone(x), rtol=1e-4, atol=1e-5)


def test_so_are_they_of_a_neuron_with_another_condition() -> None:
    ours, other = (library.DeltaLeaky(0.3, beta=0.5, spike_grad=torch.sigmoid) for library in (snn, theirs))
    states = [(torch.zeros(3, N), torch.zeros(3, N))] * 2
    for now in signal("Leaky"):
        (mine, states[0]), (wanted, states[1]) = ours(now, states[0]), other(now, states[1])
        torch.testing.assert_close(mine, wanted)
    alone: Any = snn.DeltaLeaky(0.3, beta=0.5, spike_grad=torch.sigmoid, inhibition=True)
    assert alone(signal("Leaky")[0], (0, 0))[0].count_nonzero(1).tolist() == [1, 1, 1]


def test_a_surrogate_that_is_a_module_is_part_of_the_network() -> None:
    net = nn.Sequential(nn.Linear(N, 2), snn.Leaky(0.9, spike_grad=Soft(), learn_beta=True, init_hidden=True))
    other = nn.Sequential(
        nn.Linear(N, 2), theirs.Leaky(0.9, spike_grad=Soft(), learn_beta=True, init_hidden=True)
    )
    assert [n for n, _ in net.named_parameters()] == [n for n, _ in other.named_parameters()]
    assert "1.spike_grad.slope" in net.state_dict()
    layer: Any = net[1]
    net(signal("Leaky")[0]).sum().backward()
    assert layer.spike_grad.slope.grad is not None
    assert net.double()[1].get_submodule("spike_grad").slope.dtype == torch.float64
    layer.spike_grad = snn.surrogate.atan()
    assert "spike_grad" not in dict(layer.named_children())
    layer.spike_grad = Soft()
    assert "spike_grad.slope" in layer.state_dict()
    assert copy.deepcopy(layer).spike_grad is not layer.spike_grad


QUANTISERS: dict[str, Any] = {
    "a clamp": torch.relu,
    "a fixed point": lambda m: torch.round(m * 16) / 16 + m - m.detach(),
    "a module": nn.Hardtanh(),
}


@pytest.mark.parametrize("name", QUANTISERS)
def test_states_are_rounded_by_any_function(name: str) -> None:
    for kind in ("Leaky", "Synaptic", "RLeaky", "SLSTM"):
        same(*pair(kind, state_quant=QUANTISERS[name]), signal(kind))


def test_rounding_may_be_set_and_switched_off() -> None:
    levels = quant.state_quant(num_bits=3)
    layer, x = snn.Leaky(0.9, state_quant=levels), signal("Leaky")[0]
    wanted = layer(x)[1]
    later: Any = snn.Leaky(0.9)
    exact = later(x)[1]
    assert later.state_quant is False
    for given, mem in (
        (levels, wanted),
        (False, exact),
        (torch.relu, exact),
        (levels.levels, wanted),
        (None, exact),
    ):
        later.state_quant = given
        later.reset_mem()
        assert torch.equal(later(x)[1], mem)
    later.state_quant = nn.Hardtanh()
    assert isinstance(dict(later.named_children())["state_quant"], nn.Hardtanh)
    with pytest.raises(
        InputError, match=r"state_quant is False, a tensor of levels .* or a function of a state, not 3"
    ):
        later.state_quant = 3


FIRING_TOGETHER: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "the strongest of a layer": (
        lambda z: ((z > 0) & (z >= z.amax(1, True))).float(),
        "is not 1 where z > 0",
    ),
    "above the mean of all": (lambda z: (z > z.mean()).float(), "is not 1 where z > 0"),
    "images alone": (
        lambda z: (z > 0).float() + 0 * z.mean((2, 3), True),
        r"fails on samples \[B, N\].*Index",
    ),
    "a little later": (lambda z: (z > 1e-6).float(), "is not 1 where z > 0"),
}


@pytest.mark.parametrize("what", FIRING_TOGETHER)
def test_a_function_of_more_than_one_neuron_is_refused_in_programs(what: str) -> None:
    function, message = FIRING_TOGETHER[what]
    net = nn.Sequential(snn.Leaky(0.9, spike_grad=function, init_hidden=True))
    with pytest.raises(CaptureError, match=rf"spike_grad=.* returns, which {message}"):
        snn.capture(net, signal("Leaky")[0])


class Sloped(torch.autograd.Function):
    """A surrogate that looks at all neurons, and at the axes that it is given."""

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        ctx.save_for_backward(z)
        return (z > 0).to(z.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (z,) = ctx.saved_tensors
        slope: Tensor = grads[0] * z.ndim / (1 + z.abs().mean(0, keepdim=True))
        return slope


def compiled_slope(net: nn.Module, x: Tensor) -> Tensor:
    """The gradient of the first weight, in a compiled model."""
    with snn.compile(net, x[0], backend="cpu", time_steps=T) as model:
        outputs, _ = model.torch_module()(leaf := x.clone().requires_grad_())
        (slope,) = torch.autograd.grad(outputs["output"].square().sum(), leaf)
        return slope


SEQUENCES: dict[str, Callable[..., Any]] = {
    "StateLeaky": lambda library, **k: library.StateLeaky(0.9, N, **k),
    "LinearLeaky": lambda library, **k: library.LinearLeaky(0.9, N, N, **k),
    "LeakyParallel": lambda library, **k: library.LeakyParallel(N, N, **k),
}


@pytest.mark.parametrize("name", SEQUENCES)
@pytest.mark.parametrize("own", [False, True])
def test_a_function_of_a_layer_of_sequences_sees_all_steps_at_once(name: str, own: bool) -> None:
    def slope(z: Tensor, grad: Tensor, _: Tensor) -> Tensor:
        return grad * z.dim() / (1 + z.abs().mean(0, keepdim=True))

    found = []
    for library, surrogate in ((theirs, theirs.surrogate), (snn, snn.surrogate)):
        torch.manual_seed(0)
        function = Sloped.apply if own else surrogate.custom_surrogate(slope)
        layer = SEQUENCES[name](library, threshold=0.1, spike_grad=function)
        leaf = signal("Leaky").requires_grad_()
        out = layer(leaf)
        spk = out[0] if isinstance(out, tuple) else out
        found.append((spk.detach(), *torch.autograd.grad(spk.square().sum(), leaf)))
    for wanted, mine in zip(*found, strict=True):
        torch.testing.assert_close(mine, wanted)
    with pytest.raises(CaptureError, match=r"gives all steps \[T, B, N\] at once other spikes or gradients"):
        snn.capture(nn.Sequential(layer), signal("Leaky")[0])


def test_a_function_of_one_element_is_compiled_for_sequences() -> None:
    torch.manual_seed(0)
    layer, x = snn.StateLeaky(0.9, N, threshold=0.1, spike_grad=Tilted.apply), signal("Leaky")
    leaf = x.clone().requires_grad_()
    (wanted,) = torch.autograd.grad(layer(leaf)[0].square().sum(), leaf)

    class Spikes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Tensor) -> Any:
            return self.layer(x)[0]

    torch.testing.assert_close(compiled_slope(Spikes(), x), wanted)


class Tilted(Sloped):
    """A surrogate of each element by itself."""

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (z,) = ctx.saved_tensors
        slope: Tensor = grads[0] / (1 + z.abs())
        return slope


def tilted(z: Tensor, grad: Tensor, _: Tensor) -> Tensor:
    return grad / (1 + z.abs()) if z.ndim else grad  # what asks for axes is no expression


IN_PIECES: dict[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    "inhibited": (lambda library, **k: library.Leaky(0.9, inhibition=True, **k), (3, N)),
    "pooled": (
        lambda library, **k: library.SConv2dLSTM(1, 2, 3, max_pool=2, threshold=0.05, **k),
        (3, 1, 6, 6),
    ),
}


@pytest.mark.filterwarnings("ignore:Inhibition is an unstable feature:UserWarning")  # snnTorch's own
@pytest.mark.parametrize("name", IN_PIECES)
def test_a_gradient_that_only_torch_knows_is_not_forgotten_where_spikes_are_made_apart(name: str) -> None:
    make, shape = IN_PIECES[name]
    found = []
    for library in (theirs, snn):
        for function in (
            Tilted.apply,
            library.surrogate.custom_surrogate(
                lambda z, grad, _: grad / (1 + z.abs().max() - z.abs().max() + z.abs())
            ),
        ):
            torch.manual_seed(0)
            layer = make(library, spike_grad=function)
            leaf = 2 * torch.rand(shape, generator=torch.Generator().manual_seed(0))
            out = layer(leaf.requires_grad_())
            found.append((out[0].detach(), *torch.autograd.grad(out[0].square().sum(), leaf)))
            assert found[-1][1].count_nonzero()
    for other in found[1:]:
        for mine, wanted in zip(other, found[0], strict=True):
            torch.testing.assert_close(mine, wanted)
    with pytest.raises(CaptureError, match=r"which torch alone can differentiate, and inhibits, pools or"):
        snn.capture(nn.Sequential(layer), leaf.detach())
    op = layer._hw_op(len(shape) - 1)
    with pytest.raises(InputError, match=r"made apart from their neurons.*choose one of snnhw.surrogate"):
        inhibited("lif", op)


def test_a_function_that_fires_otherwise_on_images_is_refused() -> None:
    def flat(z: Tensor) -> Tensor:
        return (z > 0).to(z.dtype) if z.ndim < 3 else torch.zeros_like(z)

    with pytest.raises(CaptureError, match=r"is not 1 where z > 0 and 0 elsewhere in \[B, C, N\]"):
        snn.capture(nn.Sequential(snn.Leaky(0.9, spike_grad=flat, init_hidden=True)), signal("Leaky")[0])
