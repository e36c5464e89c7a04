"""Samples that end: each gives what it gives alone, whatever neuron it passes through."""

from __future__ import annotations

import numpy as np
import pytest

from snnhw.conformance.cases.making.harness import NODE, Subject, alone, observed
from snnhw.conformance.cases.making.networks import chancy, dense, recurrent
from snnhw.conformance.cases.making.neurons import common, settings
from snnhw.conformance.cases.making.numbers import Randoms
from snnhw.errors import InputError
from snnhw.ir import (
    MODELS,
    ATan,
    Edge,
    Fixed,
    FrozenMap,
    Input,
    Linear,
    Neuron,
    Output,
    Param,
    Pointwise,
    Program,
    model,
    require_valid,
    trainable,
    var,
)
from snnhw.parity.arrays import Array
from snnhw.passes import ending
from snnhw.reference import execute

T, LENGTHS = 6, (6, 1, 4)


def alive(lengths: tuple[int, ...]) -> Array:
    return (np.arange(T)[:, None] < np.array(lengths)).astype(float)[..., None]


def numbers() -> Randoms:
    return Randoms(np.random.default_rng(3))


@pytest.mark.parametrize("name", MODELS)
def test_a_sample_of_any_neuron_ends_in_the_state_of_its_last_step(name: str) -> None:
    setting = next(each for each in settings() if each.model.name == name)
    program = alone(Subject(name, setting.neuron((3,)), dict.fromkeys(setting.model.ports, (3,))))
    given = setting.values(NODE, (3,), numbers())
    case = observed("x", program, numbers(), given=given, time_steps=T, batch=len(LENGTHS))
    made = ending(program)
    require_valid(made.program)
    found = execute(made.program, case.params, {**case.inputs, made.alive: alive(LENGTHS)})
    for sample, steps in enumerate(LENGTHS):
        inputs = {key: x[:steps, sample : sample + 1] for key, x in case.inputs.items()}
        wanted = execute(program, case.params, inputs)
        assert np.array_equal(found.outputs["out"][:steps, sample : sample + 1], wanted.outputs["out"])
        assert not found.outputs["out"][steps:, sample].any()
        for key, state in wanted.state.items():
            assert np.array_equal(found.state[key][sample : sample + 1], state), key


def test_what_is_behind_an_end_has_no_gradient_and_may_grow_beyond_all_bounds() -> None:
    entry = model(
        "Growing", states="mem", params=(), integrate={"mem": var("mem") * var("mem") + var("x")}, fire=None
    )
    nodes = FrozenMap({"x": Input((2,)), "n": Neuron(entry), "out": Output()})
    program = Program(nodes, (Edge("x.y", "n.x"), Edge("n.mem", "out.x")))
    x = np.full((T, 1, 2), 1e200)
    x[0] = 1.0
    assert not np.isfinite(execute(program, {}, {"x": x}).state["n.mem"]).all()
    made = ending(program)
    found = execute(made.program, {}, {"x": x, made.alive: alive((1,))})
    assert (found.state["n.mem"] == 1.0).all()


def test_states_of_delayed_edges_are_those_of_the_program_that_was_written() -> None:
    network = recurrent(common(), ATan())
    case = observed(
        "x", network.program, numbers(), given=network.values(numbers()), time_steps=T, batch=len(LENGTHS)
    )
    made = ending(network.program, training=True)
    inputs = {**case.inputs, made.alive: alive(LENGTHS)}
    own = execute(made.program, case.params, inputs).state
    state = made.taken(own, np.stack)
    whole = execute(network.program, case.params, case.inputs).state
    assert {key: x.shape for key, x in state.items()} == {key: x.shape for key, x in whole.items()}
    back = made.given(state)
    assert back.keys() == own.keys()
    assert all(np.array_equal(back[key], x) for key, x in own.items())
    first = {key: x[:, :1] if "->" in key else x[:1] for key, x in state.items()}
    alike = {key: x[:, :1] if "->" in key else x[:1] for key, x in whole.items()}
    assert all(np.allclose(first[key], x) for key, x in alike.items())


def test_names_that_are_taken_are_left_alone() -> None:
    program = dense(common(), ATan()).program
    taken = Program(
        FrozenMap({**program.nodes, "alive": Linear(6, 2)}), (*program.edges, Edge("x.y", "alive.x"))
    )
    made = ending(taken)
    require_valid(made.program)
    assert made.alive == "alive_"
    assert made.program.nodes["alive"] == Linear(6, 2)


def test_what_has_no_meaning_is_refused_with_what_to_do() -> None:
    norms = chancy(common(), ATan()).program
    with pytest.raises(
        InputError, match=r"norm \(BatchNorm1d\) measures all samples .*LayerNorm.*one length each"
    ):
        ending(norms, training=True)
    require_valid(ending(norms).program)
    entry = model(
        "Odd",
        states="mem",
        params=(Param("alive", 0.5),),
        integrate={"mem": var("alive") * var("x")},
        fire=None,
    )
    nodes = FrozenMap({"x": Input((2,)), "n": Neuron(entry), "out": Output()})
    with pytest.raises(InputError, match=r"n \(Odd\) has a name 'alive' of its own; call it otherwise"):
        ending(Program(nodes, (Edge("x.y", "n.x"), Edge("n.mem", "out.x"))))
    plain = Program(
        FrozenMap({"x": Input((2,)), "out": Output()}),
        (Edge("x.y", "out.x"),),
        formats=FrozenMap({"x.y": Fixed(8)}),
    )
    with pytest.raises(InputError, match="a program of integers runs whole batches"):
        ending(plain)


def test_an_edge_may_start_at_a_parameter() -> None:
    nodes = {
        "x": Input((2,)),
        "scale": Pointwise(
            FrozenMap({"y": var("x") * var("gain")}),
            parameters=(Param("gain", 1.0),),
            param_shapes=FrozenMap({"gain": (2,)}),
        ),
        "out": Output(),
    }
    edges = (Edge("x.y", "scale.x"), Edge("scale.y", "out.x", delay=2, init="scale.gain"))
    program = trainable(Program(FrozenMap(nodes), edges))
    made = ending(program, training=True)
    require_valid(made.program)
    params = {"scale.gain": np.array([0.5, 2.0])}
    x = np.random.default_rng(0).random((T, 3, 2))
    found = execute(made.program, params, {"x": x, made.alive: alive(LENGTHS)})
    whole = execute(program, params, {"x": x})
    assert np.array_equal(found.outputs["out"] * 1.0, whole.outputs["out"] * alive(LENGTHS))
