"""Neuron modules: calls, states, options, copies, messages."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from nn_calls import X, leaky
from torch import Tensor, nn

import snnhw as snn
from snnhw.errors import InputError
from snnhw.nn import SpikingNeuron
from snnhw.tensors.scans.scan import run_scan

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")

# -- calls ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({}, 2),
        ({"output": True}, 2),
        ({"init_hidden": True}, 1),
        ({"init_hidden": True, "output": True}, 2),
    ],
)
def test_what_a_call_returns(settings: dict[str, bool], count: int) -> None:
    result = leaky(**settings)(X[0])
    if count == 1:
        assert isinstance(result, Tensor)
        assert set(result.flatten().tolist()) <= {0.0, 1.0}
    else:
        spk, mem = result
        assert torch.equal(spk, (mem > 1).float())


def test_states_come_after_spikes_in_the_models_order() -> None:
    layer = snn.nn.Synaptic(alpha=0.5, beta=0.8)
    spk, syn, mem = layer(X[0], torch.ones(4, 5), torch.zeros(4, 5))
    torch.testing.assert_close(syn, X[0] + 0.5)
    torch.testing.assert_close(mem, syn)
    assert torch.equal(spk, (mem > 1).float())


def test_states_may_be_passed_by_place_or_name_or_left_out() -> None:
    layer, state = leaky(), torch.full((4, 5), 0.3)
    by_place = layer(X[0], state)[1]
    by_name = layer(X[0], mem=state)[1]
    assert torch.equal(by_place, by_name)
    assert torch.equal(layer(X[1])[1], layer(X[1], by_name)[1])
    layer(X[1], by_name)
    assert torch.equal(layer(X[2], None)[1], layer(X[2], layer(X[1], by_name)[1])[1])


def test_two_states_by_name_in_any_order() -> None:
    layer, syn, mem = snn.nn.Synaptic(alpha=0.5, beta=0.8), torch.rand(4, 5), torch.rand(4, 5)
    for one, other in zip(layer(X[0], syn, mem), layer(X[0], mem=mem, syn=syn), strict=True):
        assert torch.equal(one, other)


def test_a_state_of_one_element_stands_for_all() -> None:
    layer = leaky()
    assert torch.equal(layer(X[0], torch.tensor(0.5))[1], layer(X[0], torch.full((4, 5), 0.5))[1])
    assert torch.equal(layer(X[0], torch.tensor([0.5]))[1], layer(X[0], torch.full((4, 5), 0.5))[1])


def test_what_reset_mem_returns_means_at_rest() -> None:
    layer = leaky()
    layer(X[0])
    at_rest = layer.reset_mem()
    assert torch.equal(layer(X[1], at_rest)[1], leaky()(X[1])[1])
    syn, mem = snn.nn.Synaptic(alpha=0.5, beta=0.8).init_synaptic()  # type: ignore[operator]  # made for each model
    assert syn.numel() == mem.numel() == 0


def test_what_reset_mem_returns_has_the_shape_that_states_had() -> None:
    layer: Any = snn.RSynaptic(0.5, 0.8, linear_features=5)
    layer(X[0])
    states = layer.reset_mem()
    assert [state.tolist() for state in states] == [torch.zeros(4, 5).tolist()] * 3
    for x in (X[1], X[1][:2], X[1, 0]):  # the same batch, a smaller one, a sample by itself
        fresh: Any = snn.RSynaptic(0.5, 0.8, linear_features=5)
        fresh.load_state_dict(layer.state_dict())
        assert all(map(torch.equal, layer(x, *states), fresh(x)))
        layer.reset_mem()


def test_what_starts_from_something_else_is_given_its_start_whatever_the_shape() -> None:
    rising = snn.neuron("Rising", states={"v": 0.25}, equations={"v": "v + x"}, fire="v > 9", reset="none")
    layer = rising()
    layer(X[0])
    assert torch.equal(layer(X[1], layer.reset_mem())[1], X[1] + 0.25)


@pytest.mark.parametrize("kept", [False, True])
def test_a_hidden_state_goes_on_from_call_to_call(kept: bool) -> None:
    hidden, explicit = leaky(init_hidden=True, output=True), leaky()
    state: Any = explicit.reset_mem()
    for x in X:
        spk, mem = hidden(x)
        other, state = explicit(x) if kept else explicit(x, state)
        assert torch.equal(spk, other)
        assert torch.equal(mem, state)
        assert hidden.mem is mem


@pytest.mark.parametrize(
    "call",
    [
        lambda layer: layer(X[0], None, None),
        lambda layer: layer(X[0], volts=X[0]),
        lambda layer: layer(X[0], X[0], mem=X[0]),
    ],
    ids=["too many", "unknown", "twice"],
)
def test_states_that_there_are_not(call: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError) as caught:
        call(leaky())
    assert str(caught.value) == "Leaky takes an input and, once each, the states mem"


def test_a_state_passed_to_a_neuron_that_keeps_it_inside() -> None:
    layer = leaky(init_hidden=True)
    with pytest.raises(TypeError) as caught:
        layer(X[0], torch.zeros(4, 5))
    assert str(caught.value) == (
        "Leaky keeps its states inside (init_hidden=True), so none can be passed; "
        "leave them out, or construct it with init_hidden=False"
    )
    assert layer.mem.numel() == 0, "a call that fails changes nothing"


@pytest.mark.parametrize("passed", [True, False])
def test_a_state_of_another_batch(passed: bool) -> None:
    layer = leaky()
    _, mem = layer(X[0])
    with pytest.raises(InputError) as caught:
        layer(X[1][:2], mem) if passed else layer(X[1][:2])
    assert str(caught.value) == (
        "Leaky: state 'mem' has shape (4, 5), but for an input of shape (2, 5) it is (2, 5); when a new "
        "batch begins, call snnhw.utils.reset(net) first, or pass the state that reset_mem() returns"
    )


def test_a_kept_state_of_one_element_is_of_another_batch_too() -> None:
    layer = leaky(init_hidden=True)
    layer(torch.ones(1, 1))
    with pytest.raises(InputError, match="state 'mem' has shape"):
        layer(torch.ones(3, 1))


# -- states -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_spikes_have_the_inputs_dtype_and_states_that_of_the_computation(dtype: torch.dtype) -> None:
    layer = leaky()
    for x in X:
        spk, mem = layer(x.to(dtype))
        assert spk.dtype == dtype
        assert mem.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)


def test_half_precision_signals_are_computed_in_float32() -> None:
    half, full = leaky(), leaky()
    for x in X.half():
        spk, mem = half(x)
        other, state = full(x.float())
        assert torch.equal(spk.float(), other)
        assert torch.equal(mem, state)


def test_gradients_reach_half_precision_inputs() -> None:
    x = X[0].half().requires_grad_()
    leaky()(x)[0].sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == torch.float16
    assert x.grad.count_nonzero() > 0


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64], ids=str)
def test_spikes_may_come_as_whole_numbers(dtype: torch.dtype) -> None:
    spikes = X[0] > 0.5
    spk, mem = leaky(threshold=0.5)(spikes.to(dtype))
    assert mem.dtype == spk.dtype == torch.float32
    assert torch.equal(spk, spikes.float())


def test_a_module_in_double_precision() -> None:
    layer = leaky(learn_beta=True).double()
    spk, mem = layer(X[0].double())
    assert spk.dtype == mem.dtype == torch.float64
    spk.sum().backward()
    assert layer.beta.grad.dtype == torch.float64


def test_a_state_follows_to_another_dtype() -> None:
    layer = leaky()
    layer(X[0])
    assert layer(X[1].double())[1].dtype == torch.float64


def test_an_empty_batch() -> None:
    layer = leaky()
    spk, mem = layer(torch.zeros(0, 5))
    assert spk.shape == mem.shape == (0, 5)
    layer(torch.zeros(0, 5))
    layer(X[0])


def test_detach_hidden_keeps_values_and_cuts_the_graph() -> None:
    layer = leaky(learn_beta=True)
    _, mem = layer(X[0])
    layer.detach_hidden()
    assert torch.equal(layer.mem, mem)
    assert not layer.mem.requires_grad


class Nested(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(5, 5), leaky(init_hidden=True))
        self.listed = nn.ModuleList([nn.ModuleDict({"a": leaky(init_hidden=True)})])
        self.last = nn.Sequential(nn.Sequential(leaky()))

    def forward(self, x: Tensor) -> Any:
        inner: Any = self.listed[0]
        return self.last(inner["a"](self.first(x)))


def sizes(net: nn.Module) -> list[int]:
    return [getattr(m, "mem").numel() for m in net.modules() if isinstance(m, SpikingNeuron)]  # noqa: B009  # a state


def test_reset_reaches_neurons_however_deep_and_those_of_this_net_alone() -> None:
    net, other = Nested(), Nested()
    for one in (net, other):
        one(X[0])
    snn.utils.reset(net)
    assert sizes(net) == [0, 0, 0]
    assert sizes(other) == [20, 20, 20]


def test_reset_of_a_neuron_by_itself_and_of_a_copy() -> None:
    layer = leaky()
    layer(X[0])
    clone = copy.deepcopy(layer)
    snn.utils.reset(clone)
    assert clone.mem.numel() == 0
    assert layer.mem.numel() == 20


# -- copies -----------------------------------------------------------------------------------------


def copied(layer: Any) -> Any:
    return copy.deepcopy(layer)


def pickled(layer: Any) -> Any:
    return pickle.loads(pickle.dumps(layer))


def saved(layer: Any) -> Any:
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("way", [copied, pickled, saved])
def test_a_copy_goes_on_where_the_neuron_was(way: Callable[[Any], Any]) -> None:
    layer = leaky(
        learn_beta=True, threshold=torch.full((5,), 0.9), spike_grad=snn.surrogate.fast_sigmoid(4.0)
    )
    layer(X[0])  # leaves a state with a graph behind it
    clone = way(layer)
    assert torch.equal(clone(X[1])[1], layer(X[1])[1])
    assert clone._hw_surrogate == layer._hw_surrogate
    assert clone.beta is not layer.beta
    assert repr(clone) == repr(layer)
    clone(X[2])[0].sum().backward()
    assert layer.beta.grad is None


def test_state_dicts_hold_parameters_and_no_states() -> None:
    layer = leaky(learn_beta=True, state_quant=torch.linspace(-1, 1, 5))
    layer(X[0])
    assert set(layer.state_dict()) == {"beta", "threshold", "graded_spikes_factor", "reset_mechanism_val"}


def test_a_state_dict_round_trip() -> None:
    layer = leaky(beta=torch.rand(5), threshold=0.7, reset_mechanism="zero", graded_spikes_factor=2.0)
    other = leaky(beta=torch.rand(5))
    other.load_state_dict(layer.state_dict())
    for x in X:
        for one, two in zip(layer(x), other(x), strict=True):
            assert torch.equal(one, two)


def test_values_given_as_tensors_are_copied() -> None:
    beta = torch.full((5,), 0.5)
    layer = leaky(beta=beta)
    beta.fill_(0.9)
    assert layer.beta.tolist() == [0.5] * 5


@pytest.mark.parametrize("value", [1, torch.tensor(1), torch.ones(5, dtype=torch.int64), [1] * 5], ids=str)
@pytest.mark.parametrize("learn", [False, True])
def test_whole_numbers_become_floats(value: Any, learn: bool) -> None:
    assert leaky(threshold=value, learn_threshold=learn).threshold.dtype == torch.float32


# -- options ----------------------------------------------------------------------------------------


def test_what_is_learnt_is_a_parameter() -> None:
    layer = leaky(learn_beta=True, learn_graded_spikes_factor=True)
    assert set(dict(layer.named_parameters())) == {"beta", "graded_spikes_factor"}
    assert set(dict(layer.named_buffers())) == {"threshold", "reset_mechanism_val", "mem"}


def test_a_factor_changed_in_place_counts() -> None:
    layer = leaky(threshold=0.1)
    layer.graded_spikes_factor.fill_(3.0)
    assert set(layer(X[0])[0].unique().tolist()) == {0.0, 3.0}


def test_the_reset_may_be_set_and_acts() -> None:
    layer, other = leaky(), leaky(reset_mechanism="none")
    layer.reset_mechanism = "none"
    assert int(layer.reset_mechanism_val) == 2
    for x in X:
        assert torch.equal(layer(x)[1], other(x)[1])


def test_surrogate_disable_lets_no_gradient_through_spikes() -> None:
    x = X[0].clone().requires_grad_()
    spk, mem = leaky(surrogate_disable=True, spike_grad=snn.surrogate.atan())(x)
    (spk.sum() + mem.sum()).backward()
    assert x.grad is not None
    assert torch.equal(x.grad, torch.ones(4, 5)), "the membrane's alone"


def test_quantised_states_are_levels() -> None:
    levels = torch.tensor([-1.0, 0.0, 0.5, 1.25])
    layer = leaky(state_quant=levels)
    for x in X:
        assert set(layer(x)[1].unique().tolist()) <= set(levels.tolist())


@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
@pytest.mark.parametrize("delay", [True, False])
def test_stepping_equals_a_scan(reset: str, delay: bool) -> None:
    layer = leaky(reset_mechanism=reset, reset_delay=delay, beta=torch.linspace(0.5, 0.9, 5))
    params = {name: layer._hw_tensor_of(name) for name in ("beta", "threshold")}
    found, _ = run_scan(layer._hw_op(1).equations(), {"x": X}, params, {}, steps=6, outputs=("spk", "mem"))
    stepped = [layer(x) for x in X]
    assert torch.equal(found["spk"], torch.stack([spk for spk, _ in stepped]))
    assert torch.equal(found["mem"], torch.stack([mem for _, mem in stepped]))


def test_repr_shows_what_is_not_usual() -> None:
    assert repr(leaky()) == (
        "Leaky(beta=0.8, threshold=1, spike_grad=ATan(alpha=2.0), reset_mechanism='subtract')"
    )
    odd = leaky(
        beta=torch.rand(5),
        learn_beta=True,
        surrogate_disable=True,
        init_hidden=True,
        output=True,
        reset_delay=False,
        graded_spikes_factor=2.0,
        state_quant=torch.zeros(3),
    )
    assert repr(odd) == (
        "Leaky(beta=tensor[5], threshold=1, learn_beta=True, graded_spikes_factor=2, surrogate_disable=True, "
        "reset_mechanism='subtract', reset_delay=False, init_hidden=True, output=True, state_quant=tensor[3])"
    )
