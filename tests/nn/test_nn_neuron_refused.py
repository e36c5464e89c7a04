"""Neuron modules: what their constructors refuse, and models of one's own."""

from __future__ import annotations

import pickle
from dataclasses import replace
from inspect import signature
from typing import Any

import pytest
import torch
from nn_calls import X, leaky

import snnhw as snn
from snnhw.errors import InputError
from snnhw.ir import MODELS, FrozenMap, Neuron, NeuronModel, Param, State, StepEquations, model, variables
from snnhw.ir.models.textbook import TEXTBOOK
from snnhw.nn import neuron_class

pytestmark = pytest.mark.usefixtures("one_thread", "plain_torch")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"beta": 1.5},
            "Leaky(beta=1.5) lies outside [0, 1]; pass validate_args=False to use it all the same",
        ),
        (
            {"beta": torch.tensor([0.5, -0.1])},
            "Leaky(beta=tensor[2]) lies outside [0, 1]; pass validate_args=False to use it all the same",
        ),
        ({"threshold": float("nan")}, "Leaky(threshold=nan): give finite numbers"),
        ({"threshold": True}, "Leaky(threshold=True): give finite numbers"),
        ({"threshold": "high"}, "Leaky(threshold='high'): give a number or a tensor"),
        ({"graded_spikes_factor": float("inf")}, "Leaky(graded_spikes_factor=inf): give finite numbers"),
        (
            {"reset_mechanism": "half"},
            "Leaky(reset_mechanism='half'): give one of subtract, zero, none, subtract_beta",
        ),
        (
            {"spike_grad": "atan"},
            "spike_grad is a surrogate such as snnhw.surrogate.fast_sigmoid(slope=25), or a function",
        ),
        (
            {"state_quant": True},
            "state_quant is False, a tensor of levels [L], or a function of a state, not True",
        ),
        (
            {"state_quant": torch.zeros(2, 2)},
            "state_quant is False, a tensor of levels [L], or a function of a state, not tensor([[0., 0.],",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        leaky(**settings)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({}, "missing a required argument: 'beta'"),
        ({"beta": 0.5, "treshold": 1.0}, "got an unexpected keyword argument 'treshold'"),
    ],
)
def test_arguments_that_do_not_fit(arguments: dict[str, float], reason: str) -> None:
    with pytest.raises(TypeError) as caught:
        snn.Leaky(**arguments)
    assert str(caught.value).startswith(f"Leaky: {reason}; it takes (beta, threshold=1.0, spike_grad=None")


def test_values_out_of_range_may_be_insisted_on() -> None:
    layer = leaky(beta=1.5, validate_args=False)
    torch.testing.assert_close(layer(X[1], X[0])[1], X[0].clamp(max=1) * 0 + X[0] + X[1] - (X[0] > 1).float())


def test_a_parameter_of_another_layer() -> None:
    with pytest.raises(
        InputError, match=r"parameter 'beta' of shape \[7\] does not fit samples of shape \[5\]"
    ):
        leaky(beta=torch.rand(7))(X[0])


# -- models of one's own ----------------------------------------------------------------------------

mem, spk, x, b, v, theta = variables("mem spk x b v theta")


def own(name: str, **changes: Any) -> NeuronModel:
    settings: dict[str, Any] = {
        "states": "mem",
        "params": (Param("b", about="decay of the membrane"), Param("theta", 1.0)),
        "integrate": {"mem": b * mem + x},
        "fire": mem - theta,
        "threshold": "theta",
    }
    return model(name, **{**settings, **changes})


def module(entry: NeuronModel, **settings: Any) -> Any:
    return neuron_class(entry, module=__name__)(**settings)


def test_a_model_of_ones_own_is_a_module() -> None:
    ours, theirs = module(own("Own"), b=0.8), leaky()
    assert torch.equal(ours(X[0])[1], theirs(X[0])[1])
    assert type(ours).__name__ == "Own"
    assert "mem'    = b * mem + x" in str(type(ours).__doc__)
    assert "b: decay of the membrane, a number or one for every neuron." in str(type(ours).__doc__)
    assert (
        ours.init_own().tolist() == torch.zeros_like(X[0]).tolist()
    )  # at rest, in the shape of the last call


def test_required_parameters_come_first() -> None:
    entry = own("Late", params=(Param("theta", 1.0), Param("b")))
    assert list(signature(neuron_class(entry, module=__name__)).parameters)[:2] == ["b", "theta"]


def test_its_own_spikes_are_returned_once() -> None:
    feels = {"mem": b * mem + x + v * spk}
    params = (Param("b"), Param("v"), Param("theta", 1.0))
    entry = own("Feels", states="spk mem", params=params, integrate=feels)
    layer = module(entry, b=0.8, v=0.5)
    first, mem1 = layer(X[0])
    second, mem2 = layer(X[1])
    flag = (mem1 > 1).float()
    torch.testing.assert_close(mem2, 0.8 * mem1 + X[1] + 0.5 * first - flag)
    assert torch.equal(layer(X[1], first, mem1)[0], second)


def test_a_model_that_never_fires_returns_its_states() -> None:
    entry = own("Readout", fire=None, params=(Param("b"),))
    (state,) = module(entry, b=0.5)(X[0])
    assert torch.equal(state, X[0])
    hidden = module(entry, b=0.5, init_hidden=True)
    hidden(X[0])
    torch.testing.assert_close(hidden(X[1]), 0.5 * X[0] + X[1])


def test_dt_is_a_programs() -> None:
    entry = own("Timed", integrate={"mem": mem + x * variables("dt")[0]}, params=(Param("theta", 1.0),))
    layer = module(entry)
    torch.testing.assert_close(layer(X[0])[1], X[0] * 1e-3)


def test_a_state_that_starts_from_a_parameter() -> None:
    entry = own("Begins", states=(State("mem", "theta"),))
    torch.testing.assert_close(module(entry, b=0.5, theta=2.0)(X[0])[1], 1.0 + X[0])


def test_a_reset_that_says_nothing_about_a_timing() -> None:
    whole = own("Odd")
    entry = replace(whole, post=FrozenMap({"delayed": whole.post["delayed"]}))
    with pytest.raises(InputError) as caught:
        module(entry, b=0.5, reset_delay=False)
    assert str(caught.value) == (
        "Odd(reset_delay=False): its equations do not say when reset 'subtract' acts then; "
        "give reset_delay=True"
    )


@pytest.mark.parametrize("name", TEXTBOOK)
def test_a_textbook_neuron_works_with_its_defaults(name: str) -> None:
    """Its reset acts at once, and so does that of a module that is told nothing about it."""
    entry = MODELS[name]
    layer = neuron_class(entry, module=__name__)(
        **{param.name: 1e-3 for param in entry.params if param.default is None}
    )
    assert (layer.reset_mechanism, layer._hw_timing) == (entry.reset, "immediate")
    assert layer(X[0]) is not None
    if entry.fire is not None:
        with pytest.raises(InputError, match=r"reset 'to_value' acts then; give reset_delay=False"):
            type(layer)(reset_delay=True)


@pytest.mark.parametrize("name", ["half", "output", "training", "forward"])
def test_names_that_mean_something_to_a_module(name: str) -> None:
    entry = own("Clash", params=(Param("b"), Param("theta", 1.0), Param(name, 0.0)))
    with pytest.raises(InputError) as caught:
        neuron_class(entry, module=__name__)
    assert str(caught.value) == (
        f"model Clash: '{name}' already means something to a torch module; "
        "choose another name for the parameter or state"
    )


def test_a_model_of_several_inputs() -> None:
    entry = own("Gated", integrate={"mem": b * mem + x * variables("y")[0]}, ports=("x", "y"))
    with pytest.raises(InputError) as caught:
        neuron_class(entry, module=__name__)
    assert str(caught.value).startswith(
        "model Gated: a module is called with one input and keeps states, but"
    )


def test_every_registered_model_is_a_module_that_can_be_pickled() -> None:
    from snnhw.ir import MODELS

    for name, entry in MODELS.items():
        if len(entry.ports) > 1:
            continue  # a part of a layer
        cls = getattr(snn.nn, name)
        assert pickle.loads(pickle.dumps(cls)) is cls


def test_an_unknown_model() -> None:
    with pytest.raises(AttributeError, match=r"module 'snnhw.nn' has no attribute 'Leeky'"):
        _ = snn.nn.Leeky


def test_an_op_has_the_parameters_of_its_layer() -> None:
    layer = leaky(beta=torch.rand(3, 1, 1), threshold=torch.tensor([0.5]), state_quant=torch.zeros(4))
    op = layer._hw_op(3)
    assert isinstance(op, Neuron)
    assert isinstance(op.equations(), StepEquations)
    assert {name: spec.shape for name, spec in op.params().items() if name != "levels"} == {
        "beta": (3, 1, 1),
        "threshold": (),
    }
