"""What of a neuron may be somebody's own: methods, functions, modules inside. Each as in snnTorch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

import snnhw as snn
from snnhw.errors import CaptureError, InputError
from snnhw.functional import quant

pytestmark = [
    pytest.mark.usefixtures("one_thread", "plain_torch"),
    pytest.mark.filterwarnings("ignore:Inhibition is an unstable feature:UserWarning"),  # snnTorch's own
]

theirs: Any = pytest.importorskip("snntorch", reason="snntorch is the oracle: pip install snntorch==1.0.0")

T, B, N = 6, 3, 4

MAKE: dict[str, Callable[..., Any]] = {
    "Leaky": lambda c, **k: c(0.9, **k),
    "Lapicque": lambda c, **k: c(0.9, **k),
    "Synaptic": lambda c, **k: c(0.8, 0.9, **k),
    "Alpha": lambda c, **k: c(0.9, 0.8, **k),
    "RLeaky": lambda c, **k: c(0.9, linear_features=N, **k),
    "RSynaptic": lambda c, **k: c(0.8, 0.9, all_to_all=False, V=0.3, **k),
    "SLSTM": lambda c, **k: c(N, N, **{"threshold": 0.1, **k}),
    "SConv2dLSTM": lambda c, **k: c(1, 2, 3, **{"threshold": 0.05, **k}),
}
RESETS = ("subtract", "zero", "none")


def signal(name: str) -> Tensor:
    shape = (B, 1, 5, 5) if name == "SConv2dLSTM" else (B, N)
    return torch.rand(T, *shape, generator=torch.Generator().manual_seed(0)) * 2


def pair(name: str, change: Callable[[Any], Any] = lambda kind: kind, **options: Any) -> tuple[Any, Any]:
    """A neuron of ours and of snnTorch, with the same weights; ``change`` makes their classes."""
    ours, other = (MAKE[name](change(getattr(library, name)), **options) for library in (snn, theirs))
    state = {key: value for key, value in other.state_dict().items() if "." in key}
    ours.load_state_dict(state, strict=False)
    return ours, other


def same(ours: Any, other: Any, x: Tensor, **close: Any) -> None:
    """Spikes, states and gradients to the input, over all steps."""
    found = []
    for layer in (ours, other):
        given = x.clone().requires_grad_()
        parts = [part for now in given for part in layer(now)]
        sum((part * (k % 5 + 1)).sum() for k, part in enumerate(parts)).backward()
        found.append([*(part.detach() for part in parts), given.grad])
    for mine, wanted in zip(*found, strict=True):
        torch.testing.assert_close(mine, wanted, **{"rtol": 1e-5, "atol": 1e-5, **close})


def halved(kind: Any) -> Any:
    """Every method that a step calls, changed a little."""

    class Own(kind):  # type: ignore[misc]  # of either library
        def fire(self, mem: Tensor) -> Any:
            return super().fire(mem * 0.8)

        def mem_reset(self, mem: Tensor) -> Any:
            return super().mem_reset(mem) * 0.5

        def _base_state_function(self, input_: Tensor) -> Any:
            found = super()._base_state_function(input_ * 0.9)
            return tuple(0.9 * part for part in found) if isinstance(found, tuple) else 0.9 * found

        def _base_int(self, input_: Tensor) -> Any:
            return super()._base_int(input_ + 0.1)

    return Own


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("name", MAKE)
def test_methods_of_a_subclass_run_as_in_snntorch(name: str, reset: str) -> None:
    same(*pair(name, halved, reset_mechanism=reset), signal(name))


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("name", MAKE)
def test_a_layer_computed_method_by_method_is_what_its_kernel_computes(name: str, reset: str) -> None:
    options: dict[str, Any] = {"reset_mechanism": reset, "graded_spikes_factor": 0.5}
    plain, own = MAKE[name](getattr(snn, name), **options), None
    own = copy.deepcopy(plain)
    own.fire = lambda mem: type(own).fire(own, mem)
    assert (plain.by_hand, own.by_hand) == (False, True)
    for now in signal(name):
        for mine, wanted in zip(own(now), plain(now), strict=True):
            torch.testing.assert_close(mine, wanted)


@pytest.mark.parametrize("reset", ["subtract", "zero", "none", "subtract_beta"])
@pytest.mark.parametrize("delay", [True, False])
def test_so_are_resets_at_once_and_those_that_snntorch_lacks(reset: str, delay: bool) -> None:
    plain: Any = snn.Leaky(0.9, reset_mechanism=reset, reset_delay=delay, graded_spikes_factor=2.0)
    own = copy.deepcopy(plain)
    own.mem_reset = lambda mem: type(own).mem_reset(own, mem)
    for now in signal("Leaky"):
        for mine, wanted in zip(own(now), plain(now), strict=True):
            torch.testing.assert_close(mine, wanted)


def test_so_are_neurons_of_ones_own_equations() -> None:
    Adaptive = snn.neuron(
        "Adaptive",
        states={"mem": 0.1, "adapt": 0.0},
        params={"beta": 0.9, "threshold": 1.0},
        equations={"mem": "beta * mem + x", "adapt": "0.9 * adapt"},
        fire="mem > threshold + adapt",
        reset={"mem": "mem - threshold", "adapt": "adapt + 0.2"},
    )
    for delay in (True, False):
        plain: Any = Adaptive(reset_delay=delay)
        own = copy.deepcopy(plain)
        own.spike_grad = lambda z: (z > 0).to(z.dtype)
        for now in signal("Leaky"):
            for mine, wanted in zip(own(now), plain(now), strict=True):
                torch.testing.assert_close(mine, wanted)


def test_methods_that_are_set_on_a_layer_run() -> None:
    for name in ("fire", "mem_reset", "state_function"):
        changed, other = pair("Leaky")
        for layer in (changed, other):
            setattr(layer, name, lambda given: given * 0.5)
        same(changed, other, signal("Leaky"))


def test_inhibition_of_ones_own_runs() -> None:
    def last(kind: Any) -> Any:
        class Last(kind):  # type: ignore[misc]  # of either library
            def fire_inhibition(self, batch_size: int, mem: Tensor) -> Tensor:
                spikes = super().fire_inhibition(batch_size, mem)
                return spikes.roll(1, 1)

        return Last

    same(*pair("Leaky", last, inhibition=True), signal("Leaky"))


def test_what_alpha_takes_at_a_reset_may_be_changed() -> None:
    def own(kind: Any) -> Any:
        class Own(kind):  # type: ignore[misc]  # of either library
            def _base_state_reset_sub_function(self, input_: Tensor) -> Any:
                return tuple(part * 0.5 for part in super()._base_state_reset_sub_function(input_))

        return Own

    same(*pair("Alpha", own, reset_mechanism="subtract", threshold=0.2), signal("Alpha"))


def test_a_recurrent_layer_of_ones_own_is_made_by_its_hook() -> None:
    def thin(kind: Any) -> Any:
        class Thin(kind):  # type: ignore[misc]  # of either library
            def _init_recurrent_linear(self) -> None:
                self.recurrent = nn.Sequential(nn.Linear(N, 1, bias=False), nn.Linear(1, N))

        return Thin

    same(*pair("RLeaky", thin), signal("RLeaky"))


def spectral(layer: nn.Module) -> nn.Module:
    return nn.utils.parametrizations.weight_norm(layer)


INSIDE: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "no bias": ("recurrent", lambda _: nn.Linear(N, N, bias=False)),
    "a chain": ("recurrent", lambda layer: nn.Sequential(layer, nn.Tanh())),
    "weight norm": ("recurrent", spectral),
    "pruned": ("recurrent", lambda layer: prune.l1_unstructured(layer, "weight", 0.5)),
}


@pytest.mark.parametrize("what", INSIDE)
def test_what_is_inside_a_neuron_is_called_as_the_module_it_is(what: str) -> None:
    ours, other = pair("RLeaky")
    path, change = INSIDE[what]
    changed = change(getattr(other, path))
    for layer in (ours, other):
        setattr(layer, path, changed)
    same(ours, other, signal("RLeaky"))
    sample = signal("RLeaky")[0]
    ours.init_hidden = True
    if what == "no bias":
        assert "recurrent.bias" not in "".join(snn.capture(ours, sample).params)
    else:
        with pytest.raises(
            CaptureError, match=r"a RLeaky that has a 'recurrent' that is a .* put a plain layer there"
        ):
            snn.capture(ours, sample)


def test_hooks_on_a_layer_inside_are_heard() -> None:
    for name, path in {"SLSTM": "lstm_cell", "SConv2dLSTM": "conv", "RLeaky": "recurrent"}.items():
        layer, seen = MAKE[name](getattr(snn, name)), []
        layer.get_submodule(path).register_forward_hook(lambda *_, seen=seen: seen.append(1))
        layer(signal(name)[0])
        assert seen
    linear, seen = snn.LinearLeaky(0.5, N, N), []
    linear.linear.register_forward_hook(lambda *_: seen.append(1))
    wanted = copy.deepcopy(linear)
    wanted.linear._forward_hooks.clear()
    for mine, plain in zip(linear(signal("Leaky")), wanted(signal("Leaky")), strict=True):
        torch.testing.assert_close(mine, plain)
    assert seen


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
    with pytest.raises(
        InputError, match="AssociativeLeaky computes its equations alone, but this one fires what"
    ):
        snn.AssociativeLeaky(N, 2, 2, spike_grad=torch.sigmoid)(x)


class Soft(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(2.0))

    def forward(self, z: Tensor) -> Tensor:
        soft = torch.sigmoid(self.slope * z)
        return ((z > 0).to(z.dtype) - soft).detach() + soft


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


def linearly(**options: Any) -> Any:
    class Linearly(snn.Leaky):
        def _base_state_function(self, input_: Tensor) -> Tensor:
            return (self.mem - self.beta + input_).clamp(min=0)

    return Linearly(0.1, init_hidden=True, **options)


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "a method": (
        linearly,
        r"a Linearly that has '?_base_state_function'? of its own; write its equations with snnhw",
    ),
    "soft spikes": (
        lambda: snn.Leaky(0.9, spike_grad=torch.sigmoid, init_hidden=True),
        r"a Leaky that fires what spike_grad=.*sigmoid.* returns, .* return \(z > 0\)",
    ),
    "a learnt surrogate": (
        lambda: snn.Leaky(0.9, spike_grad=Soft(), init_hidden=True),
        r"a Leaky that has spike_grad=.*, whose 'slope' would not be learnt in a compiled model; train",
    ),
    "a quantiser": (
        lambda: snn.Leaky(0.9, state_quant=torch.relu, init_hidden=True),
        r"a Leaky that rounds its states by a function; give levels",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_compiled_model_refuses_what_it_cannot_see_through_and_names_the_line(what: str) -> None:
    make, message = REFUSED[what]

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lif = make()

        def forward(self, x: Tensor) -> Any:
            return self.lif(x)

    with pytest.raises(
        CaptureError, match=rf"test_nn_hooks.py:\d+: `return self.lif\(x\)`: 'lif' is {message}"
    ):
        snn.compile(Net(), signal("Leaky")[0], backend="cpu", time_steps=T)


def test_a_function_that_fires_as_usual_is_compiled() -> None:
    net = nn.Sequential(
        snn.Leaky(0.9, spike_grad=lambda z: snn.surrogate.ATan.apply(z) * 1, init_hidden=True)
    )
    x = signal("Leaky")
    wanted = torch.stack([net(now) for now in x])
    with snn.compile(net, x[0], backend="cpu", time_steps=T) as model:
        assert torch.equal(torch.as_tensor(model.run(x).outputs["output"]), wanted)


def test_what_a_step_was_reset_by_is_there_as_in_snntorch() -> None:
    ours, other = pair("Leaky")
    for now in signal("Leaky"):
        ours(now), other(now)
        assert torch.equal(ours.reset, other.reset)
    assert copy.deepcopy(ours).reset is None


def test_methods_without_a_meaning_are_refused_as_in_snntorch() -> None:
    for library in (snn, theirs):
        for call in (
            lambda layer: layer.mem_reset(torch.ones(2)),
            lambda layer: layer.fire_inhibition(1, torch.ones(1, 2)),
        ):
            with pytest.raises(NotImplementedError):
                call(library.StateLeaky(0.5, 2))
