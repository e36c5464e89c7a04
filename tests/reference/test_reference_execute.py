"""Running programs: delays, states, static inputs, recordings, and the strict float32 evaluation."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from reference_nets import LEAKY, Array, alone, filled, leaky, per_channel, rate_loss, signal, two_layers

from snnhw.ir import (
    Add,
    Edge,
    FrozenMap,
    Input,
    Linear,
    Neuron,
    Op,
    Output,
    Param,
    Pointwise,
    Program,
    Shape,
    State,
    TimeAxis,
    model,
    trainable,
    var,
    variables,
)
from snnhw.reference import execute, gradients, pullback

DECAYING = {"beta": 0.5, "threshold": 1.0}


def wires(nodes: Mapping[str, Op], *edges: Edge) -> Program:
    return Program(FrozenMap(nodes), edges)


# -- Delays ---------------------------------------------------------------------------------------


def late(delay: int, init: float, shape: Shape) -> Program:
    """Its input, some steps later."""
    return wires(
        {"x": Input(shape), "late": Add(), "output": Output()},
        Edge("x.y", "late.x", delay=delay, init=init),
        Edge("late.y", "output.x"),
    )


@pytest.mark.parametrize(("delay", "init"), [(1, 0.0), (1, 7.0), (2, 0.0), (2, -1.5)])
def test_a_delayed_edge_gives_its_initial_value_first(delay: int, init: float) -> None:
    x = signal(0, 5, 2, 3)
    found = execute(late(delay, init, (3,)), {}, {"x": x})
    expected = np.concatenate([np.full((delay, 2, 3), init), x[:-delay]])
    np.testing.assert_array_equal(found.outputs["output"], expected)
    np.testing.assert_array_equal(found.state["x.y->late.x"], x[-delay:])


def test_a_delay_longer_than_the_run() -> None:
    found = execute(late(3, 9.0, (1,)), {}, {"x": np.array([[[1.0]], [[2.0]]])})
    np.testing.assert_array_equal(found.outputs["output"].ravel(), [9, 9])
    np.testing.assert_array_equal(found.state["x.y->late.x"].ravel(), [9, 1, 2])


def test_an_edge_may_start_from_a_parameter_which_then_has_a_gradient() -> None:
    program = trainable(
        wires(
            {
                "x": Input((3,)),
                "lif": leaky(param_shapes=per_channel((3,))),
                "late": Add(),
                "output": Output(),
            },
            Edge("x.y", "lif.x"),
            Edge("x.y", "late.x", delay=2, init="lif.threshold"),
            Edge("late.y", "output.x"),
        )
    )
    weights = filled(program, {"beta": 0.5, "threshold": [1.0, 2.0, 3.0]})
    x, seed = signal(0, 4, 2, 3), signal(1, 4, 2, 3)
    found = pullback(program, weights, {"x": x}, {"late.y": seed}, wrt_state=True)
    first = np.broadcast_to([1.0, 2.0, 3.0], (2, 2, 3))
    np.testing.assert_array_equal(found.execution.outputs["output"], np.concatenate([first, x[:2]]))
    np.testing.assert_allclose(found.params["lif.threshold"], seed[:2].sum(axis=(0, 1)), rtol=1e-12)
    np.testing.assert_array_equal(found.state["x.y->late.x"], seed[:2])


def test_a_recurrent_linear_gives_its_bias_at_the_first_step() -> None:
    """The delay stands before the Linear: what it sees at first is silence, not nothing."""
    program = wires(
        {"x": Input((1,)), "lif": leaky(), "back": Linear(1, 1), "output": Output()},
        Edge("x.y", "lif.x"),
        Edge("lif.spk", "back.x", delay=1),
        Edge("back.y", "lif.x"),
        Edge("lif.spk", "output.x"),
    )
    weights = filled(program, DECAYING | {"weight": 3.0, "bias": 0.25})
    found = execute(program, weights, {"x": np.array([[[0.5]], [[0.5]], [[0.5]]])}, record=["lif.mem"])
    np.testing.assert_array_equal(found.recordings["lif.mem"].ravel(), [0.75, 1.125, 3.3125])


def test_edges_into_one_port_add_up_left_to_right() -> None:
    big, small = np.float32(1e8), np.float32(1.0)
    nodes = {"a": Input((1,)), "b": Input((1,)), "c": Input((1,)), "output": Output(), "sum": Add()}
    out = Edge("sum.y", "output.x")
    given = {"a": big, "b": -big, "c": small}
    inputs = {name: np.full((1, 1, 1), value, np.float32) for name, value in given.items()}
    for order, expected in (("abc", 1.0), ("acb", 0.0)):
        program = wires(nodes, *(Edge(f"{name}.y", "sum.x") for name in order), out)
        found = execute(program, {}, inputs, dtype=np.float32)
        assert found.outputs["output"].item() == expected


# -- States ---------------------------------------------------------------------------------------


def recurrent() -> Program:
    return wires(
        {"x": Input((4,)), "lif": leaky(), "back": Linear(4, 4), "output": Output()},
        Edge("x.y", "lif.x"),
        Edge("lif.spk", "back.x", delay=2, init=1.0),
        Edge("back.y", "lif.x"),
        Edge("lif.spk", "output.x"),
    )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_run_may_be_split_anywhere(dtype: str) -> None:
    program = recurrent()
    weights = filled(program, {"beta": 0.9, "threshold": 0.5})
    x = signal(2, 10, 3, 4)
    whole = execute(program, weights, {"x": x}, record=["lif.mem"], dtype=dtype)
    first = execute(program, weights, {"x": x[:4]}, record=["lif.mem"], dtype=dtype)
    second = execute(program, weights, {"x": x[4:]}, record=["lif.mem"], state=first.state, dtype=dtype)
    for part in ("outputs", "recordings"):
        for key, array in getattr(whole, part).items():
            joined = np.concatenate([getattr(first, part)[key], getattr(second, part)[key]])
            np.testing.assert_array_equal(array, joined, strict=True)
    for key, array in whole.state.items():
        np.testing.assert_array_equal(array, second.state[key], strict=True)
    assert {key: array.shape for key, array in whole.state.items()} == {
        "lif.mem": (3, 4),
        "lif.spk->back.x": (2, 3, 4),
    }


def test_gradients_of_a_split_run_join_at_the_state() -> None:
    program = trainable(recurrent())
    weights = filled(program, {"beta": 0.9, "threshold": 0.5})
    x, seed = signal(2, 6, 3, 4), signal(3, 6, 3, 4)
    whole = pullback(program, weights, {"x": x}, {"lif.mem": seed}, wrt_inputs=True)
    first = execute(program, weights, {"x": x[:4]})
    late = pullback(
        program,
        weights,
        {"x": x[4:]},
        {"lif.mem": seed[4:]},
        state=first.state,
        wrt_inputs=True,
        wrt_state=True,
    )
    # What reaches the state flows on into the last values of the first part. Its last two spikes are
    # all that is under way on the edge.
    seeds = {"lif.mem": seed[:4].copy(), "lif.spk": np.zeros((4, 3, 4))}
    seeds["lif.mem"][-1] += late.state["lif.mem"]
    seeds["lif.spk"][-2:] += late.state["lif.spk->back.x"]
    early = pullback(program, weights, {"x": x[:4]}, seeds, wrt_inputs=True)
    joined = np.concatenate([early.inputs["x"], late.inputs["x"]])
    np.testing.assert_allclose(joined, whole.inputs["x"], rtol=1e-12, atol=1e-14)
    for key, grad in whole.params.items():
        np.testing.assert_allclose(early.params[key] + late.params[key], grad, rtol=1e-12, atol=1e-14)


def test_a_state_may_start_from_a_parameter_which_then_has_a_gradient() -> None:
    mem, x = variables("mem x")
    warm = model(
        "Warm",
        states=(State("mem", init="start"),),
        params=(Param("start"),),
        integrate={"mem": 0.5 * mem + x},
        fire=None,
    )
    program = trainable(alone(Neuron(warm, reset="none", param_shapes=FrozenMap({"start": (3,)})), (3,)))
    weights = {"lif.start": np.array([1.0, 2.0, 4.0])}
    found = pullback(program, weights, {"x": np.zeros((2, 5, 3))}, {"lif.mem": np.ones((2, 5, 3))})
    np.testing.assert_array_equal(found.execution.outputs["output"][1], np.tile([0.25, 0.5, 1.0], (5, 1)))
    np.testing.assert_array_equal(found.params["lif.start"], np.full(3, 5 * 0.75))


def test_the_first_reset_comes_from_the_initial_state() -> None:
    start = {"lif.mem": np.array([[1.5]])}
    x = np.full((1, 1, 1), 0.25)
    found = {}
    for reset, timing in [(r, t) for r in ("subtract", "zero") for t in ("delayed", "retest", "immediate")]:
        program = alone(leaky(reset=reset, timing=timing))
        run = execute(program, filled(program, DECAYING), {"x": x}, state=start)
        found[reset, timing] = run.state["lif.mem"].item()
    assert found == {
        ("subtract", "delayed"): 0.0,
        ("subtract", "retest"): 1.0,
        ("subtract", "immediate"): 1.0,
        ("zero", "delayed"): 0.25,
        ("zero", "retest"): 0.5,
        ("zero", "immediate"): 1.0,
    }


# -- Inputs, shapes, recordings -------------------------------------------------------------------


def test_a_static_input_is_the_same_at_every_step() -> None:
    weights = filled(two_layers(), {"beta": 0.9, "threshold": 0.5})
    x = signal(4, 6, 5)
    once = execute(two_layers(static=True), weights, {"x": x}, time_steps=8)
    repeated = execute(two_layers(), weights, {"x": np.broadcast_to(x, (8, 6, 5))})
    np.testing.assert_array_equal(once.outputs["output"], repeated.outputs["output"])


def test_the_gradient_to_a_static_input_is_summed_over_time() -> None:
    weights = filled(two_layers(), {"beta": 0.9, "threshold": 0.5})
    x, y = signal(4, 6, 5), {"target": np.zeros(6, int)}
    loss = rate_loss("lif2.spk")
    once = gradients(two_layers(static=True), weights, {"x": x}, y, loss, time_steps=8, wrt_inputs=True)
    each = gradients(two_layers(), weights, {"x": np.broadcast_to(x, (8, 6, 5))}, y, loss, wrt_inputs=True)
    np.testing.assert_allclose(once.inputs["x"], each.inputs["x"].sum(axis=0), rtol=1e-12, atol=1e-15)


def test_ports_of_different_rank_broadcast_behind_the_batch_axis() -> None:
    a, b = variables("a b")
    both = Pointwise(FrozenMap({"y": a * b, "first": a}), ports=("a", "b"))
    program = wires(
        {"a": Input((3,)), "b": Input((2, 3)), "f": both, "output": Output()},
        Edge("a.y", "f.a"),
        Edge("b.y", "f.b"),
        Edge("f.y", "output.x"),
    )
    x, y = signal(5, 4, 2, 3), signal(6, 4, 2, 2, 3)
    found = execute(program, {}, {"a": x, "b": y}, record=["f.first"])
    np.testing.assert_array_equal(found.outputs["output"], x[:, :, None] * y)
    np.testing.assert_array_equal(found.recordings["f.first"], np.broadcast_to(x[:, :, None], y.shape))


def test_a_parameter_per_channel() -> None:
    program = alone(leaky(param_shapes=per_channel((2, 1, 1))), (2, 3, 4))
    weights = filled(program, {"beta": np.array([0.5, 0.0]).reshape(2, 1, 1), "threshold": 9.0})
    found = execute(program, weights, {"x": np.ones((2, 1, 2, 3, 4))}, record=["lif.mem"])
    np.testing.assert_array_equal(found.recordings["lif.mem"][1, 0, :, 0, 0], [1.5, 1.0])


def test_dt_is_the_length_of_a_step() -> None:
    x, dt = variables("x dt")
    program = Program(
        FrozenMap({"x": Input((1,)), "f": Pointwise(FrozenMap({"y": x * dt})), "output": Output()}),
        (Edge("x.y", "f.x"), Edge("f.y", "output.x")),
        TimeAxis(dt=0.25),
    )
    assert execute(program, {}, {"x": np.full((1, 1, 1), 8.0)}).outputs["output"].item() == 2.0


def test_margins_are_what_a_neuron_compares_with_zero() -> None:
    program = alone(leaky(timing="retest"), (4,))
    weights = filled(program, {"beta": 0.5, "threshold": 0.75})
    found = execute(program, weights, {"x": signal(1, 6, 2, 4)}, margins=True)
    assert set(found.margins) == {"lif"}
    np.testing.assert_array_equal(found.margins["lif"] > 0, found.outputs["output"] == 1)
    assert execute(program, weights, {"x": signal(1, 6, 2, 4)}).margins == {}


def test_a_margin_may_depend_on_dt() -> None:
    mem, x, threshold, dt = variables("mem x threshold dt")
    timed = model(
        "Timed",
        states="mem",
        params=(Param("threshold", 1000.0),),
        integrate={"mem": mem + x},
        fire=mem - dt * threshold,
    )
    program = alone(Neuron(timed, reset="none"))
    found = execute(program, filled(program, {}), {"x": np.full((2, 1, 1), 0.75)}, margins=True)
    np.testing.assert_array_equal(found.margins["lif"].ravel(), [-0.25, 0.5])


def test_a_neuron_that_never_fires_has_no_margin() -> None:
    mem, x = variables("mem x")
    silent = model("Sum", states="mem", params=(), integrate={"mem": mem + x}, fire=None)
    program = alone(Neuron(silent, reset="none"))
    found = execute(program, {}, {"x": np.ones((3, 1, 1))}, margins=True)
    assert found.margins == {}
    np.testing.assert_array_equal(found.outputs["output"].ravel(), [1, 2, 3])


def test_arrays_belong_to_the_caller() -> None:
    program = recurrent()
    weights = filled(program, DECAYING)
    x = signal(0, 3, 2, 4)
    before = {name: array.copy() for name, array in {**weights, "x": x}.items()}
    found = execute(program, weights, {"x": x}, record=["lif.mem", "lif.spk"])
    arrays: list[Array] = [*found.outputs.values(), *found.recordings.values(), *found.state.values()]
    for array in arrays:
        array[...] = -1.0  # writable, and shared with nothing
    for first in range(len(arrays)):
        assert not any(np.shares_memory(arrays[first], other) for other in arrays[first + 1 :])
    for name, array in {**weights, "x": x}.items():
        np.testing.assert_array_equal(array, before[name])


def test_states_that_are_equal_are_arrays_of_their_own() -> None:
    x = var("x")
    twins = model("Twins", states="one two", params=(), integrate={"one": x, "two": x}, fire=None)
    found = execute(alone(Neuron(twins, reset="none")), {}, {"x": np.ones((1, 2, 1))})
    assert not np.shares_memory(found.state["lif.one"], found.state["lif.two"])


def test_infinities_and_nan_are_values() -> None:
    program = alone(leaky())
    x = np.array([np.inf, -np.inf, 1.0]).reshape(3, 1, 1)
    found = execute(program, filled(program, DECAYING), {"x": x}, record=["lif.mem"])
    np.testing.assert_array_equal(found.recordings["lif.mem"].ravel(), [np.inf, np.nan, np.nan])


# -- Float32: every operation rounded once, in the order in which it is written --------------------


@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
def test_float32_is_a_plain_float32_loop_in_every_bit(reset: str) -> None:
    program = alone(Neuron(LEAKY, reset=reset), (64,))
    weights = {"lif.beta": np.array(0.9), "lif.threshold": np.array(0.7)}
    x = signal(8, 200, 16, 64).astype(np.float32)
    found = execute(program, weights, {"x": x}, record=["lif.mem"], margins=True, dtype=np.float32)
    beta, theta, one = np.float32(0.9), np.float32(0.7), np.float32(1)
    mem = np.zeros((16, 64), np.float32)
    for t in range(200):
        flag = (mem > theta).astype(np.float32)
        if reset == "subtract":
            mem = (beta * mem + x[t]) - flag * theta
        elif reset == "zero":
            mem = beta * ((one - flag) * mem) + x[t]
        else:
            mem = beta * mem + x[t]
        np.testing.assert_array_equal(found.recordings["lif.mem"][t], mem, strict=True)
        np.testing.assert_array_equal(
            found.outputs["output"][t], (mem > theta).astype(np.float32), strict=True
        )
        np.testing.assert_array_equal(found.margins["lif"][t], mem - theta, strict=True)


def test_everything_in_a_float32_run_is_float32() -> None:
    program = two_layers()
    weights = filled(program, DECAYING)
    found = gradients(
        program, weights, {"x": signal(0, 4, 2, 5)}, {"target": np.array([0, 1])}, rate_loss("lif2.spk"),
        record=["lif1.mem"], dtype=np.float32, wrt_inputs=True, wrt_state=True,
    )  # fmt: skip
    run = found.execution
    groups = (found.params, found.inputs, found.state, run.outputs, run.recordings, run.state)
    assert {array.dtype for group in groups for array in group.values()} == {np.dtype(np.float32)}
