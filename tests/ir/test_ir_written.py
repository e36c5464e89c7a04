"""Models from equations as one writes them down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from snnhw.errors import ExpressionError, ProgramError
from snnhw.ir import Neuron, NeuronModel, Param, evaluate, numpy_namespace, var, variables
from snnhw.ir.from_equations import OWN, written

mem, adapt, x, beta = variables("mem adapt x beta")

PARAMS = {"beta": 0.5, "rho": 0.5, "jump": 0.25, "threshold": 1.0}
EQUATIONS = {"mem": "beta * mem + x", "adapt": "rho * adapt"}
RESET = {"mem": "mem - threshold", "adapt": "adapt + jump"}


def adaptive(**changed: Any) -> NeuronModel:
    given: dict[str, Any] = {"states": "mem adapt", "params": PARAMS, "equations": EQUATIONS}
    given |= {"fire": "mem > threshold + adapt", "reset": RESET}
    return written("Adaptive", **{**given, **changed})


def run(model: NeuronModel, xs: list[float], **options: Any) -> list[tuple[float, ...]]:
    """``(spk, *states)`` of every step."""
    step = Neuron(model, **options).equations()
    state, found = {name.name: 0.0 for name in model.states}, []
    for now in xs:
        env = {**{param.name: param.default for param in model.params}, **state, "x": now, "dt": 0.5}
        spk, *after = map(float, evaluate(list(step.outputs.values()), env, numpy_namespace()))
        state = dict(zip(state, after, strict=True))
        found.append((spk, *after))
    return found


INPUT = [1.25, 1.0, 1.5, 0.0]

EXPECTED: Mapping[str, list[tuple[float, ...]]] = {
    # the states at the spike; the next step starts from those after it
    "delayed": [(1, 1.25, 0.0), (0, 1.125, 0.125), (1, 2.0625, 0.0625), (0, 0.53125, 0.15625)],
    "immediate": [(1, 0.25, 0.25), (0, 1.125, 0.125), (1, 1.0625, 0.3125), (0, 0.53125, 0.15625)],
}


@pytest.mark.parametrize("timing", EXPECTED)
def test_a_reset_of_ones_own(timing: str) -> None:
    model = adaptive()
    assert (model.kinds, model.reset) == (("none", OWN), OWN)
    assert model.timings_of(OWN) == ("delayed", "immediate")
    assert run(model, INPUT, timing=timing) == EXPECTED[timing]


def test_resets_that_have_a_name() -> None:
    model = adaptive(reset=None)
    assert (model.kinds, model.reset) == (("none", "subtract", "zero"), "subtract")
    for kind in model.kinds:
        assert adaptive(reset=kind).reset == kind
    without = {"params": {"beta": 0.5, "rho": 0.5}, "fire": "mem - 1"}
    assert adaptive(reset="zero", **without).kinds == ("none", "zero")
    bare = adaptive(reset="none", states="v", params={}, equations={"v": "v + x"}, fire="v - 1")
    assert (bare.kinds, bare.reset) == (("none",), "none")
    assert [spk for spk, _ in run(bare, [1.5, 0.0, -1.0])] == [1, 1, 0]


def test_a_state_that_stays_as_it_is_between_spikes() -> None:
    model = adaptive(equations={**EQUATIONS, "adapt": "adapt"})
    assert [level for *_, level in run(model, [2.0, 2.0, 0.0], timing="immediate")] == [0.25, 0.5, 0.5]


def test_a_state_named_spk_is_the_last_output() -> None:
    model = adaptive(states="mem adapt spk", equations={**EQUATIONS, "mem": "beta * mem + x - 4 * spk"})
    step = Neuron(model, reset="none").equations()
    assert step.updates["spk"] is step.outputs["spk"]
    now = {"mem": 2.0, "adapt": 0.0, "spk": 1.0, "x": 4.0, **PARAMS}
    assert evaluate([step.updates["mem"]], now, numpy_namespace()) == [1.0]


def test_text_and_expressions_mean_the_same() -> None:
    fire = mem - (var("threshold") + adapt)
    other = adaptive(equations={"mem": beta * mem + x, "adapt": "rho * adapt"}, fire=fire)
    assert other == adaptive()


def test_definitions_and_the_length_of_a_step() -> None:
    model = written(
        "Defined",
        states="v w",
        params=(Param("gain", 2.0, low=0.0),),
        equations={
            "drive": "gain * x",
            "slope": "drive - v",
            "v": "v + dt * slope",
            "w": "slope",
            "unused": 1,
        },
        fire=None,
    )
    assert [state.name for state in model.states] == ["v", "w"]
    assert list(model.integrate) == ["v", "w"]
    assert model.params == (Param("gain", 2.0, low=0.0),)
    step = Neuron(model).equations()
    values = evaluate(
        list(step.outputs.values()), {"v": 1.0, "w": 0.0, "x": 3.0, "gain": 2.0, "dt": 0.5}, numpy_namespace()
    )
    assert values == [3.5, 5.0]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "text": ({"equations": {"mem": "beta *"}}, "Adaptive: mem: 'beta *' cannot be read: invalid syntax"),
    "fire": (
        {"fire": "mem >> 1"},
        "Adaptive: fire: 'mem >> 1' cannot be read: `mem >> 1`: the operators are",
    ),
    "reset": (
        {"reset": {"mem": "sin(mem)"}},
        "Adaptive: reset of mem: 'sin(mem)' cannot be read: there is no",
    ),
    "no state": (
        {"reset": {"adap": "mem"}},
        "model 'Adaptive': its reset gives a value to 'adap', which is no state. Did you mean 'adapt'?",
    ),
    "unknown": ({"params": {"beta": 0.5}}, "uses 'rho'; declare it as a port, state or parameter"),
    "late": (
        {"equations": {"mem": "drive", "drive": "x", "adapt": "adapt"}},
        "uses 'drive'; declare it as a port",
    ),
    "name": (
        {"states": "mem adapt a-b", "equations": {**EQUATIONS, "a-b": 0}},
        "'a-b' cannot name a port, state or parameter",
    ),
    "silent": ({"fire": None}, "it never fires, so its reset 'own' would do nothing"),
    "silent, by name": (
        {"fire": None, "reset": "zero"},
        "model 'Adaptive': it never fires (fire=None), so that reset='zero' has no effect; leave it out",
    ),
    "no equation": (
        {"equations": {"mem": "beta * mem + x", "adapts": "rho * adapt"}},
        "model 'Adaptive': state 'adapt' has no equation; give it one, such as {'adapt': 'adapt'} if",
    ),
    "no equation, but a similar name": (
        {"equations": {"mem": "beta * mem + x", "adapts": "rho * adapt"}},
        "the neuron's own last output, needs none. Did you mean 'adapts'?",
    ),
    "no reset": (
        {"reset": None, "fire": "mem > 1", "params": {"beta": 0.5, "rho": 0.5}},
        "model 'Adaptive': it fires, and nothing says what a spike does to its states; give reset={state:",
    ),
    "no membrane": (
        {"reset": "subtract", "states": "v", "equations": {"v": "x"}, "fire": "v - 1"},
        "reset='subtract': that takes a state 'mem' and a parameter 'threshold'; give reset={state: its",
    ),
    "no reset, but what there is": (
        {"reset": None, "fire": "mem > 1", "params": {"beta": 0.5, "rho": 0.5}},
        "or reset='zero', or reset='none' if a spike changes nothing. Without any, snnTorch's reset by",
    ),
    "no such reset": (
        {"reset": "substract"},
        "a spike}, or reset='zero', or reset='subtract', or reset='none' if a spike changes nothing",
    ),
    "empty reset": ({"reset": {}}, "reset={} gives no state a value; give one, or reset='none'"),
    "input": (
        {"reset": {"mem": "mem - x"}},
        "model 'Adaptive': reset of mem uses the input 'x'; it reads parameters, and states at the spike, so",
    ),
}


@pytest.mark.parametrize(("changed", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises((ExpressionError, ProgramError)) as caught:
        adaptive(**changed)
    assert message in str(caught.value)
