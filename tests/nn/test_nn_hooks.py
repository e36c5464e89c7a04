"""What of a neuron may be somebody's own: methods, functions, modules inside. Each as in snnTorch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from nn_pairs import MAKE, RESETS, N, Soft, T, pair, same, signal, theirs
from torch import Tensor, nn
from torch.nn.utils import prune

import snnhw as snn
from snnhw.errors import CaptureError

pytestmark = [
    pytest.mark.usefixtures("one_thread", "plain_torch"),
    pytest.mark.filterwarnings("ignore:Inhibition is an unstable feature:UserWarning"),  # snnTorch's own
]


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
    assert (plain._hw_by_hand, own._hw_by_hand) == (False, True)
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


def test_methods_that_are_set_on_a_class_run_in_layers_made_after_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for library in (snn, theirs):
        monkeypatch.setattr(library.Leaky, "fire", lambda _, mem: mem * 7, raising=False)
    same(*pair("Leaky"), signal("Leaky"))


def test_inhibition_of_ones_own_runs() -> None:
    def last(kind: Any) -> Any:
        class Last(kind):  # type: ignore[misc]  # of either library
            def fire_inhibition(self, batch_size: int, mem: Tensor) -> Tensor:
                spikes: Tensor = super().fire_inhibition(batch_size, mem)
                return spikes.roll(1, 1)

        return Last

    same(*pair("Leaky", last, inhibition=True), signal("Leaky"))


@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
@pytest.mark.parametrize(("name", "delay"), [("RLeaky", True), ("RLeaky", False), ("RSynaptic", True)])
def test_what_spikes_come_back_through_is_called_as_often_as_in_snntorch(
    name: str, reset: str, delay: bool
) -> None:
    """It may keep a state of its own, or draw random numbers."""
    calls = []
    for library in (theirs, snn):
        rates = {"beta": 0.9, **({"alpha": 0.7} if name == "RSynaptic" else {})}
        layer = getattr(library, name)(**rates, linear_features=3, reset_mechanism=reset, reset_delay=delay)
        layer.recurrent = Counting(3)
        for now in torch.rand(3, 2, 3):
            layer(now)
        calls.append(layer.recurrent.calls)
    assert calls[0] == calls[1] > 0


class Counting(nn.Linear):
    """Counts its calls."""

    def __init__(self, size: int) -> None:
        super().__init__(size, size)
        self.calls = 0

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # torch's name
        self.calls += 1
        return super().forward(input)


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


def spectral(layer: nn.Module) -> Any:
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


def test_a_connection_may_be_put_in_place_of_a_weight_for_each_neuron() -> None:
    for name, options in {"RLeaky": (0.9,), "RSynaptic": (0.8, 0.9)}.items():
        ours, other = (getattr(each, name)(*options, all_to_all=False, V=0.3) for each in (snn, theirs))
        for layer in (ours, other):
            torch.manual_seed(4)
            layer.recurrent = nn.Sequential(nn.Linear(N, N), nn.ReLU())
        same(ours, other, signal(name))


def test_products_inside_layers_that_take_sequences_may_be_replaced() -> None:
    x = signal("Leaky")
    for query in (True, False):
        plain: Any = snn.AssociativeLeaky(N, 2, 3, use_q_projection=query, threshold=0.2)
        own = copy.deepcopy(plain)
        own.to_v = nn.Sequential(own.to_v)
        assert (plain._hw_by_hand, own._hw_by_hand) == (False, True)
        torch.testing.assert_close(own(x), plain(x))
    ours, other = (each.LeakyParallel(N, 3) for each in (snn, theirs))
    for layer in (ours, other):
        torch.manual_seed(4)
        layer.rnn = nn.RNN(N, 3, nonlinearity="relu")
    torch.testing.assert_close(ours(x), other(x))


def test_hooks_on_a_layer_inside_are_heard() -> None:
    for name, path in {"SLSTM": "lstm_cell", "SConv2dLSTM": "conv", "RLeaky": "recurrent"}.items():
        layer, seen = MAKE[name](getattr(snn, name)), list[int]()
        layer.get_submodule(path).register_forward_hook(lambda *_, seen=seen: seen.append(1))
        layer(signal(name)[0])
        assert seen
    linear, seen = snn.LinearLeaky(0.5, N, N), list[int]()
    linear.linear.register_forward_hook(lambda *_: seen.append(1))
    wanted = copy.deepcopy(linear)
    wanted.linear._forward_hooks.clear()
    for mine, plain in zip(linear(signal("Leaky")), wanted(signal("Leaky")), strict=True):
        torch.testing.assert_close(mine, plain)
    assert seen


def linearly(**options: Any) -> Any:
    class Linearly(snn.Leaky):
        def _base_state_function(self, input_: Tensor) -> Any:
            mem, beta = self.get_buffer("mem"), self.get_buffer("beta")
            return (mem - beta + input_).clamp(min=0)

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


ATTRIBUTES: dict[str, tuple[tuple[Any, ...], str]] = {
    "Leaky": (
        (0.9,),
        "surrogate_disable reset_mechanism_val state_function reset_delay mem",
    ),
    "RLeaky": ((0.9, 0.4, False), "V recurrent learn_recurrent all_to_all linear_features kernel_size spk"),
    "SLSTM": ((2, 2), "bias input_size hidden_size lstm_cell syn"),
    "SConv2dLSTM": ((1, 2, 3), "bias padding max_pool avg_pool in_channels out_channels conv"),
    "LeakyParallel": ((2, 2, 0.5), "beta hidden_size rnn grad_hook weight_hh_enable surrogate_disable"),
}


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_attributes_that_code_reads_are_there(name: str) -> None:
    given, names = ATTRIBUTES[name]
    layers = [getattr(library, name)(*given) for library in (snn, theirs)]
    for attribute in names.split():
        ours, other = (getattr(layer, attribute) for layer in layers)
        if isinstance(other, (bool, int, str, type(None))):
            assert ours == other, attribute
    if name == "RLeaky":
        spikes = torch.ones(1, 2)
        assert torch.equal(layers[0].recurrent(spikes), layers[1].recurrent(spikes))
        assert layers[0].recurrent.V is layers[0].V


def test_kinds_of_reset_have_their_numbers() -> None:
    assert dict(snn.Leaky.reset_dict) == theirs.Leaky.reset_dict


def test_what_a_step_was_reset_by_is_there_as_in_snntorch() -> None:
    ours, other = pair("Leaky")
    for now in signal("Leaky"):
        ours(now), other(now)
        assert torch.equal(ours.reset, other.reset)
    assert copy.deepcopy(ours).reset is None


def test_tau_is_what_is_learnt_of_a_decay_and_options_without_an_effect_are_warned_of() -> None:
    given = torch.linspace(0.2, 0.9, N)
    for steps in (None, 2):
        options: dict[str, Any] = {"learn_beta": True, "kernel_truncation_steps": steps}
        ours, other = (library.StateLeaky(given, N, **options) for library in (snn, theirs))
        names = [[name for name, _ in layer.named_parameters()] for layer in (ours, other)]
        assert names == [["beta", "tau"]] * 2
        for layer in (ours, other):
            layer(signal("Leaky"))[1].square().sum().backward()
        torch.testing.assert_close(ours.tau.grad, other.tau.grad)
        torch.testing.assert_close(ours.beta, other.beta)
        other.load_state_dict(ours.state_dict())
        assert "learn_beta=True" in repr(ours)
        own = copy.deepcopy(ours)
        own.fire = partial(type(own).fire, own)
        for mine, wanted in zip(own(signal("Leaky")), ours(signal("Leaky")), strict=True):
            torch.testing.assert_close(mine, wanted)
    for library in (snn, theirs):
        with pytest.warns(UserWarning, match="StateLeaky"):
            library.StateLeaky(0.5, N, output=False, learn_threshold=True)


def test_a_full_matrix_is_made_diagonal_by_the_method_of_snntorch() -> None:
    layer: Any = snn.LeakyParallel(N, 3, weight_hh_enable=True)
    layer.weight_hh_enable()
    weight = layer.state_dict()["rnn.weight_hh_l0"]
    assert torch.equal(weight, weight.diagonal().diag())
    assert layer.grad_hook(torch.ones(2, 2)).tolist() == [[1, 0], [0, 1]]


def test_methods_without_a_meaning_are_refused_as_in_snntorch() -> None:
    for library in (snn, theirs):
        layer: Any = library.StateLeaky(0.5, 2)
        with pytest.raises(NotImplementedError):
            layer.mem_reset(torch.ones(2))
        with pytest.raises(NotImplementedError):
            layer.fire_inhibition(1, torch.ones(1, 2))
