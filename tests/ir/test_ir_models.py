"""Neuron models: what one step computes, and what is wrong with a model that makes no sense."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from snnhw.errors import ProgramError
from snnhw.ir import (
    MODELS,
    RESET,
    SPIKE,
    TIMINGS,
    ATan,
    Expr,
    FrozenMap,
    Neuron,
    NeuronModel,
    Param,
    State,
    StepEquations,
    StraightThrough,
    clamp,
    const,
    evaluate,
    gradient,
    model,
    nearest,
    numpy_namespace,
    register,
    var,
    variables,
    where,
)
from snnhw.ir import expr as ex
from snnhw.ir.models.family import compose

LEAKY = MODELS["Leaky"]
mem, x, beta, threshold = variables("mem x beta threshold")
SINGLE = numpy_namespace(np.float32)


def run(step: StepEquations, **given: float) -> dict[str, float]:
    """The outputs of one step in float32."""
    env = {name: np.float32(value) for name, value in {"beta": 0.5, "threshold": 1.0, **given}.items()}
    values = evaluate(list(step.outputs.values()), env, SINGLE)
    return {port: float(value) for port, value in zip(step.outputs, values, strict=True)}


# -- Leaky at numbers worked by hand: (reset, timing) -> [(spk, mem) at each point] -----------------

POINTS = [
    {"mem": 1.5, "x": 0.25},  # was above threshold, and is not any more
    {"mem": 2.5, "x": 1.25},  # was above threshold, and still is
    {"mem": 0.5, "x": 1.25},  # rises above threshold
    {"mem": 0.5, "x": 0.75},  # arrives exactly at it: no spike
]

STEPS = {
    ("none", "delayed"): [(0, 1.0), (1, 2.5), (1, 1.5), (0, 1.0)],
    ("none", "retest"): [(0, 1.0), (1, 2.5), (1, 1.5), (0, 1.0)],
    ("none", "immediate"): [(0, 1.0), (1, 2.5), (1, 1.5), (0, 1.0)],
    ("subtract", "delayed"): [(0, 0.0), (1, 1.5), (1, 1.5), (0, 1.0)],
    ("subtract", "retest"): [(0, 1.0), (1, 1.5), (1, 0.5), (0, 1.0)],
    ("subtract", "immediate"): [(0, 1.0), (1, 1.5), (1, 0.5), (0, 1.0)],
    ("subtract_beta", "delayed"): [(0, 0.5), (1, 2.0), (1, 1.5), (0, 1.0)],
    ("subtract_beta", "immediate"): [(0, 1.0), (1, 1.5), (1, 0.5), (0, 1.0)],
    ("zero", "delayed"): [(0, 0.25), (1, 1.25), (1, 1.5), (0, 1.0)],
    ("zero", "retest"): [(0, 0.5), (1, 1.25), (1, 0.0), (0, 1.0)],
    ("zero", "immediate"): [(0, 1.0), (1, 0.0), (1, 0.0), (0, 1.0)],
}


def test_the_table_is_complete() -> None:
    assert set(STEPS) == {(kind, timing) for kind in LEAKY.kinds for timing in LEAKY.timings_of(kind)}


@pytest.mark.parametrize("name", ["Leaky", "Synaptic", "RLeaky", "RSynaptic"])
def test_a_subtraction_that_decays_is_one_at_the_spike(name: str) -> None:
    """The same spikes; the membrane shows the reset one step later."""
    at_once, later = (
        spikes_of(name, *how) for how in (("subtract", "immediate"), ("subtract_beta", "delayed"))
    )
    assert later == at_once
    assert 1 < sum(later) < 10


def spikes_of(name: str, kind: str, timing: str) -> list[float]:
    """Of a neuron that is given numbers which float32 adds without rounding."""
    entry, found = MODELS[name], [{state.name: 0.0 for state in MODELS[name].states}]
    step = Neuron(entry, reset=kind, timing=timing).equations()
    for given in (0.75, 0.5, 1.5, 1.5, 0.25, -1.5, -1.0, 0.5, 0.25, 0.75, -0.25, 0.5):
        state = {item.name: found[-1][item.name] for item in entry.states}
        found.append(run(step, x=given, alpha=0.5, V=0.25, **state))
    return [outputs["spk"] for outputs in found[1:]]


@pytest.mark.parametrize(("kind", "timing"), STEPS)
def test_leaky(kind: str, timing: str) -> None:
    step = Neuron(LEAKY, reset=kind, timing=timing).equations()
    found = [run(step, **point) for point in POINTS]
    assert [(out["spk"], out["mem"]) for out in found] == STEPS[kind, timing]


@pytest.mark.parametrize(("given", "used"), [(-0.5, 0.0), (0.0, 0.0), (0.5, 0.5), (1.0, 1.0), (1.5, 1.0)])
def test_beta_is_clamped_and_its_gradient_only_outside(given: float, used: float) -> None:
    step = Neuron(LEAKY, reset="none").equations()
    (slope,) = gradient([step.updates["mem"]], [const(1.0)], [beta])
    env = {"mem": 3.0, "x": 0.0, "beta": given}
    assert evaluate([step.updates["mem"], slope], env, numpy_namespace()) == [
        used * 3.0,
        3.0 if 0.0 <= given <= 1.0 else 0.0,
    ]


def test_the_reset_flag_is_a_constant_to_the_gradient() -> None:
    step = Neuron(LEAKY, surrogate=ATan()).equations()
    found = gradient([step.updates["mem"]], [const(1.0)], [mem, threshold])
    at = {"mem": 1.5, "x": 0.25, "beta": 0.5, "threshold": 1.0}
    assert evaluate(found, at, numpy_namespace()) == [0.5, -1.0]  # beta, and -R


@pytest.mark.parametrize(("timing", "slope"), [("delayed", 1.0), ("retest", 0.75), ("immediate", 0.75)])
def test_the_gradient_passes_through_a_spike_that_resets_at_once(timing: str, slope: float) -> None:
    step = Neuron(LEAKY, timing=timing, surrogate=StraightThrough()).equations()
    found = gradient([step.updates["mem"]], [const(1.0)], [x])
    at = {"mem": 0.0, "x": 1.0, "beta": 0.5, "threshold": 0.25}
    assert evaluate(found, at, numpy_namespace()) == [slope]  # 1, or 1 - threshold * dh/dz


@pytest.mark.parametrize("kind", ["subtract", "zero"])
def test_graded_spikes_of_no_worth_leave_no_nan(kind: str) -> None:
    step = Neuron(LEAKY, reset=kind, timing="retest", graded=True).equations()
    at = {"mem": 0.5, "x": 1.25, "beta": 0.5, "threshold": 1.0, "graded_spikes_factor": 0.0}
    roots = list(step.outputs.values())
    wrt = [mem, x, beta, threshold, var("graded_spikes_factor")]
    values = evaluate([*roots, *gradient(roots, [const(1.0)] * 2, wrt)], at, numpy_namespace())
    assert values[:2] == [0.0, {"subtract": 0.5, "zero": 0.0}[kind]]  # the reset uses h, not S / g
    assert np.isfinite(values).all()
    assert values[-1] == 1.0


def test_graded_spikes_are_worth_their_factor() -> None:
    step = Neuron(LEAKY, graded=True).equations()
    assert run(step, mem=0.5, x=1.25, graded_spikes_factor=3.0) == {"spk": 3.0, "mem": 1.5}


def test_quantisation_comes_before_firing_and_not_after_it() -> None:
    step = Neuron(LEAKY, reset="subtract", timing="immediate", quantised=True).equations()
    env = {"mem": 0.0, "x": 0.9, "beta": 0.5, "threshold": 1.0, "levels": np.array([0.0, 1.25])}
    values = evaluate(list(step.outputs.values()), env, numpy_namespace())
    assert values == [1.0, 0.25]  # 0.9 -> 1.25 fires; 1.25 - 1.0 is no level and stays
    assert step.tables == ("levels",)
    assert step.params == ("beta", "threshold")


def test_a_step_names_what_it_reads_and_writes() -> None:
    step = Neuron(LEAKY, graded=True, reset="none").equations()
    assert step.ports == ("x",)
    assert step.states == (State("mem"),)
    assert step.params == ("beta", "graded_spikes_factor", "threshold")
    assert list(step.outputs) == ["spk", "mem"]
    assert step.outputs["mem"] is step.updates["mem"]
    assert step.fire is step.updates["mem"] - threshold


# -- Synaptic at numbers worked by hand: (reset, timing) -> (spk, syn, mem) -----------------------------

SYNAPTIC = {
    ("none", "delayed"): (1, 0.5, 1.25),
    ("subtract", "delayed"): (0, 0.5, 0.25),
    ("zero", "delayed"): (0, 0.5, 0.0),  # the whole new membrane, not only the old one as Leaky does
    ("subtract", "retest"): (0, 0.5, 1.25),
    ("zero", "retest"): (0, 0.5, 0.0),
    ("subtract", "immediate"): (1, 0.5, 0.25),
    ("zero", "immediate"): (1, 0.5, 0.0),
}


@pytest.mark.parametrize(("kind", "timing"), SYNAPTIC)
def test_synaptic(kind: str, timing: str) -> None:
    step = Neuron(MODELS["Synaptic"], reset=kind, timing=timing).equations()
    found = run(step, alpha=0.5, syn=0.5, mem=1.5, x=0.25)
    assert tuple(found.values()) == SYNAPTIC[kind, timing]


# -- Models of one's own ----------------------------------------------------------------------------


@pytest.fixture
def registry() -> Iterator[dict[str, NeuronModel]]:
    before = dict(MODELS)
    yield MODELS
    MODELS.clear()
    MODELS.update(before)


def test_a_model_in_ten_lines(registry: dict[str, NeuronModel]) -> None:
    mem, level, x, tau, jump = variables("mem level x tau jump")
    adaptive = register(
        model(
            "Adaptive",
            states="mem level",
            params=(Param("tau", 2.0), Param("jump", 0.25), Param("threshold", 1.0)),
            integrate={"mem": mem + (x - mem) / tau, "level": 0.5 * level + jump * ex.sigmoid(mem)},
            fire=mem - (threshold + level),
        )
    )
    assert registry["Adaptive"] is adaptive
    step = Neuron(adaptive).equations()
    state, spikes = {"mem": 0.0, "level": 0.0}, []
    u, level_, r = 0.0, 0.0, 0.0
    for t in range(20):
        out = evaluate(
            list(step.outputs.values()),
            {**state, "x": 3.0 * (t % 3), "tau": 2.0, "jump": 0.25, "threshold": 1.0},
            numpy_namespace(),
        )
        spk, *new = map(float, out)
        state = dict(zip(("mem", "level"), new, strict=True))
        r = float(u - (1.0 + level_) > 0)
        u, level_ = u + (3.0 * (t % 3) - u) / 2.0 - r, 0.5 * level_ + 0.25 / (1 + np.exp(-u))
        assert (spk, *new) == pytest.approx((float(u - (1.0 + level_) > 0), u, level_), rel=1e-12)
        spikes.append(spk)
    assert 0 < sum(spikes) < 20


def test_a_state_left_out_keeps_the_last_output() -> None:
    mem, x, previous, v = variables("mem x previous v")
    fed = model(
        "Fed",
        states="mem previous",
        params=(Param("v", 0.5), Param("threshold", 1.0)),
        integrate={"mem": mem + x + v * previous},
        fire=mem - threshold,
    )
    step = Neuron(fed, reset="none", graded=True).equations()
    assert step.updates["previous"] is step.outputs["spk"] is step.outputs["previous"]
    (slope,) = gradient([step.updates["mem"]], [const(1.0)], [previous])
    assert slope is v


def test_the_last_output_may_be_a_state_by_its_own_name() -> None:
    fed = model(
        "Fed",
        states="mem spk",
        params=(Param("threshold", 1.0),),
        integrate={"mem": mem + x - var("spk")},
        fire=mem - threshold,
    )
    neuron = Neuron(fed, reset="none")
    assert neuron.out_ports == tuple(neuron.equations().outputs) == ("spk", "mem")


def test_a_neuron_that_never_fires() -> None:
    silent = model("Silent", states="mem", params=(), integrate={"mem": 0.5 * mem + x}, fire=None)
    neuron = Neuron(silent, reset="none", quantised=True)
    assert (silent.kinds, silent.reset) == (("none",), "none")
    assert neuron.out_ports == ("mem",)
    assert neuron.equations().outputs == FrozenMap({"mem": nearest(0.5 * mem + x, "levels")})
    assert neuron.equations().fire is None


def test_states_of_a_silent_neuron_come_in_order() -> None:
    integrate = {"b": var("a") + x, "a": var("b")}
    silent = model("Silent", states="a b", params=(), integrate=integrate, fire=None)
    assert list(Neuron(silent, reset="none").equations().outputs) == ["a", "b"]


def test_a_reset_of_ones_own_is_offered_where_it_is_defined() -> None:
    rest = var("rest")
    reset = {"to_rest": {"mem": where(RESET > 0.5, rest, beta * mem + x)}}
    post = {"immediate": {"to_rest": {"mem": where(SPIKE > 0.5, rest, mem)}}}
    params = (Param("beta", 0.5), Param("rest", -0.25), Param("threshold", 1.0))

    def build(**extra: Any) -> NeuronModel:
        integrate = {"mem": beta * mem + x}
        return model("R", states="mem", params=params, integrate=integrate, fire=mem - threshold, **extra)

    assert build(resets=reset).timings_of("to_rest") == ("delayed",)
    both = build(resets=reset, post=post, reset="to_rest")
    assert both.timings_of("to_rest") == ("delayed", "immediate")
    assert both.timings_of("zero") == TIMINGS
    assert both.reset == "to_rest"
    immediate = Neuron(both, reset="to_rest", timing="immediate").equations()
    assert run(immediate, mem=0.5, x=1.25, rest=-0.25) == {"spk": 1.0, "mem": -0.25}
    delayed = Neuron(both, reset="to_rest").equations()
    assert run(delayed, mem=1.5, x=1.25, rest=-0.25) == {"spk": 0.0, "mem": -0.25}
    with pytest.raises(
        ProgramError, match=r"timing='retest'\): give one of R's for 'to_rest': delayed, immediate"
    ):
        Neuron(both, reset="to_rest", timing="retest")


def test_a_state_that_starts_from_a_parameter_reads_it() -> None:
    start = model(
        "Start",
        states=(State("mem", "start"),),
        params=(Param("start", 0.5),),
        integrate={"mem": mem + x},
        fire=None,
    )
    assert Neuron(start, reset="none").equations().params == ("start",)


def test_the_length_of_a_step_is_no_parameter() -> None:
    timed = model("Timed", states="mem", params=(), integrate={"mem": mem + var("dt") * x}, fire=None)
    assert Neuron(timed, reset="none").equations().params == ()


# -- The registry -----------------------------------------------------------------------------------


def test_registering_the_same_model_again_is_harmless(registry: dict[str, NeuronModel]) -> None:
    assert register(copy.deepcopy(LEAKY)) == LEAKY
    assert registry["Leaky"] is LEAKY


def test_two_models_of_one_name(registry: dict[str, NeuronModel]) -> None:
    other = model("Leaky", states="mem", params=(), integrate={"mem": mem + x}, fire=None)
    with pytest.raises(
        ProgramError, match="another model is already registered as 'Leaky'; choose another name"
    ):
        register(other)
    assert registry["Leaky"] is LEAKY


@pytest.mark.parametrize("name", sorted(MODELS))
def test_models_are_values(name: str) -> None:
    entry = MODELS[name]
    again = pickle.loads(pickle.dumps(entry))
    assert again == entry
    assert hash(again) == hash(entry)
    assert entry.name == name
    assert entry.reset in entry.kinds


def test_what_is_composed_simplifies_like_anything_else() -> None:
    step = compose(LEAKY, kind="none", timing="delayed", spike=ex.heaviside)
    decay = clamp(beta, 0.0, 1.0)
    assert step.updates["mem"] is decay * mem + x


def test_every_option_of_every_model_composes() -> None:
    for entry in MODELS.values():
        for kind in entry.kinds:
            for timing in entry.timings_of(kind):
                for flag in (False, True):
                    neuron = Neuron(entry, reset=kind, timing=timing, graded=flag, quantised=flag)
                    assert tuple(neuron.equations().outputs) == neuron.out_ports
                    assert all(isinstance(value, Expr) for value in neuron.equations().updates.values())
