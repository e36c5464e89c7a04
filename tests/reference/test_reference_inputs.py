"""Arrays that do not fit: one test per message."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from reference_nets import Array, filled, leaky, rate_loss, two_layers

from snnhw.errors import InputError, ProgramError
from snnhw.ir import (
    Add,
    CERate,
    Edge,
    FrozenMap,
    Input,
    Linear,
    Loss,
    Output,
    Program,
    Term,
    TimeAxis,
    validate,
)
from snnhw.ir.inputs import check_inputs, state_shapes
from snnhw.reference import execute, gradients, pullback

DENSE = two_layers()
STATIC = two_layers(static=True)
PARAMS = filled(DENSE, {"beta": 0.5, "threshold": 1.0})


def zeros(*shape: int) -> Array:
    return np.zeros(shape)


def says(text: str) -> Any:
    return pytest.raises(InputError, match=f"^{re.escape(text)}$")


def two_inputs() -> Program:
    nodes = FrozenMap({"a": Input((3,)), "b": Input((3,)), "lif": leaky(), "late": Add(), "output": Output()})
    into = (Edge("a.y", "lif.x"), Edge("b.y", "lif.x"))
    out = (Edge("lif.spk", "late.x", delay=2), Edge("late.y", "output.x"))
    return Program(nodes, into + out, TimeAxis(static_inputs=("b",)))


# -- Inputs ---------------------------------------------------------------------------------------


def test_steps_and_batch_are_read_off_the_inputs() -> None:
    assert check_inputs(DENSE, {"x": (25, 8, 5)}) == (25, 8)
    assert check_inputs(STATIC, {"x": (8, 5)}, 25) == (25, 8)
    assert check_inputs(two_inputs(), {"a": (4, 2, 3), "b": (2, 3)}) == (4, 2)


def test_a_misspelt_input() -> None:
    with says("the program has no input 'xx'. Did you mean 'x'? It has: x."):
        execute(DENSE, PARAMS, {"xx": zeros(2, 1, 5)})


def test_a_missing_input() -> None:
    with says("input 'b' is missing; given: a"):
        check_inputs(two_inputs(), {"a": (4, 2, 3)})


def test_another_sample_shape() -> None:
    with says("input 'x' has shape [2, 1, 6]; accepted: [T, B, 5]."):
        execute(DENSE, PARAMS, {"x": zeros(2, 1, 6)})


def test_no_time_axis() -> None:
    with says(
        "input 'x' has shape [8, 5]; accepted: [T, B, 5]. An axis is missing: T, the steps, or B, the "
        "samples. An input that is the same at every step can be declared static, and is given once."
    ):
        execute(DENSE, PARAMS, {"x": zeros(8, 5)})


def test_a_time_axis_too_many() -> None:
    with says(
        "input 'x' has shape [25, 8, 5]; accepted: [B, 5]. "
        "It is declared static: give it once, without the time axis."
    ):
        execute(STATIC, PARAMS, {"x": zeros(25, 8, 5)}, time_steps=25)


def test_another_number_of_steps() -> None:
    with says("input 'x' has shape [10, 8, 5]; accepted: [25, B, 5] (T=25 elsewhere)."):
        execute(DENSE, PARAMS, {"x": zeros(10, 8, 5)}, time_steps=25)


def test_inputs_of_different_batches() -> None:
    with says("input 'b' has shape [3, 3]; accepted: [2, 3] (B=2 elsewhere)."):
        check_inputs(two_inputs(), {"a": (4, 2, 3), "b": (3, 3)})


def test_an_empty_batch() -> None:
    with says(
        "input 'x' has shape [4, 0, 5]; accepted: [T, B, 5]. An axis of length 0 holds nothing: leave such a "
        "batch out."
    ):
        execute(DENSE, PARAMS, {"x": zeros(4, 0, 5)})


def test_only_static_inputs_and_no_steps() -> None:
    with says("every input is static (x), so give time_steps"):
        execute(STATIC, PARAMS, {"x": zeros(8, 5)})


@pytest.mark.parametrize("steps", [0, -1, 2.0, True])
def test_steps_that_are_no_number_of_steps(steps: Any) -> None:
    with says(f"time_steps is {steps!r}; give a whole number of steps, at least 1"):
        execute(STATIC, PARAMS, {"x": zeros(8, 5)}, time_steps=steps)


def test_a_delay_into_an_output() -> None:
    program = two_inputs()
    direct = (*program.edges[:2], Edge("lif.spk", "output.x", delay=2))
    nodes = {name: op for name, op in program.nodes.items() if name != "late"}
    assert validate(Program(FrozenMap(nodes), direct)) == (
        "output: the edge into an Output has no delay; delay it on the way to an Add before",
    )


def test_a_delayed_edge_that_starts_from_a_parameter_of_another_shape() -> None:
    program = two_inputs()
    late = Edge("lif.spk", "late.x", delay=2, init="fc.weight")
    nodes = program.nodes | {"fc": Linear(3, 2), "spare": Output()}
    edges = (*program.edges[:2], late, program.edges[3], Edge("late.y", "fc.x"), Edge("fc.y", "spare.x"))
    (problem,) = validate(Program(nodes, edges))
    assert problem == (
        "edge lif.spk->late.x: it starts from 'fc.weight' of shape (2, 3), which does not fit values "
        "of shape (3,); give a scalar, or a shape of that rank with 1 where it is shared"
    )


def test_parameters_that_do_not_fit() -> None:
    with pytest.raises(ProgramError, match=r"parameter 'fc1\.bias' has shape \(6,\), not \(7,\)"):
        execute(DENSE, PARAMS | {"fc1.bias": zeros(6)}, {"x": zeros(2, 1, 5)})


# -- State, recordings ----------------------------------------------------------------------------


def test_state_shapes() -> None:
    assert state_shapes(two_inputs(), 4) == {"lif.mem": (4, 3), "lif.spk->late.x": (2, 4, 3)}


def test_a_state_that_is_not_whole() -> None:
    with says("state 'lif2.mem' is missing; given: lif1.mem"):
        execute(DENSE, PARAMS, {"x": zeros(2, 4, 5)}, state={"lif1.mem": zeros(4, 7)})


def test_a_state_of_another_program() -> None:
    with says("the program has no state 'lif3.mem'. Did you mean 'lif2.mem'? It has: lif1.mem, lif2.mem."):
        execute(DENSE, PARAMS, {"x": zeros(2, 4, 5)}, state={"lif3.mem": zeros(4, 3)})


def test_the_state_of_another_batch() -> None:
    state = execute(DENSE, PARAMS, {"x": zeros(2, 4, 5)}).state
    with says(
        "state 'lif1.mem' has shape [4, 7]; accepted for a batch of 3: [3, 7]. "
        "When the batch is another one, start from rest (state=None)."
    ):
        execute(DENSE, PARAMS, {"x": zeros(2, 3, 5)}, state=state)


def test_a_port_that_is_not_there() -> None:
    with says(
        "there is no port 'lif1.men' to record. Did you mean 'lif1.mem'? "
        "Ports: x.y, fc1.y, lif1.spk, lif1.mem, fc2.y, lif2.spk, lif2.mem."
    ):
        execute(DENSE, PARAMS, {"x": zeros(2, 3, 5)}, record=["lif1.men"])


def test_a_seed_of_another_shape() -> None:
    with says("the seed of 'lif2.spk' has shape [2, 3]; accepted: [2, 4, 3]"):
        pullback(DENSE, PARAMS, {"x": zeros(2, 4, 5)}, {"lif2.spk": zeros(2, 3)})


# -- Targets --------------------------------------------------------------------------------------


def learn(loss: Loss, **targets: Any) -> None:
    gradients(DENSE, PARAMS, {"x": zeros(2, 4, 5)}, {k: np.array(v) for k, v in targets.items()}, loss)


def test_a_missing_target() -> None:
    with says(
        "target 'target' is missing; given: labels. CERate of 'lif2.spk' accepts [B] = [4], class numbers "
        "(an integer dtype)."
    ):
        learn(rate_loss("lif2.spk"), labels=[0, 1, 2, 0])


def test_a_target_of_another_shape() -> None:
    with says(
        "target 'target' has shape [3] and dtype int64. CERate of 'lif2.spk' accepts [B] = [4], class "
        "numbers (an integer dtype)."
    ):
        learn(rate_loss("lif2.spk"), target=[0, 1, 2])


def test_a_target_that_is_no_class_number() -> None:
    with says(
        "target 'target' has shape [4] and dtype float64. CERate of 'lif2.spk' accepts [B] = [4], class "
        "numbers (an integer dtype). Give y.long()."
    ):
        learn(rate_loss("lif2.spk"), target=[0.0, 1.0, 2.0, 0.0])


@pytest.mark.parametrize("wrong", [3, -1])
def test_a_class_that_is_not_there(wrong: int) -> None:
    with says(
        f"target 'target' holds class {wrong}; 'lif2.spk' has 3 neurons, so classes 0 to 2 are accepted"
    ):
        learn(rate_loss("lif2.spk"), target=[0, wrong, 2, 0])


def test_a_loss_that_does_not_say_what_it_reads() -> None:
    with says(
        "term CERate does not say which port it reads; resolve the loss against the program first, "
        "or give one with of('node.port')"
    ):
        learn(Loss((Term(CERate()),)), target=[0, 1, 2, 0])


def test_a_loss_without_terms() -> None:
    with says("a loss needs at least one term; this one has none"):
        learn(Loss(()), target=[0, 1, 2, 0])


def test_a_loss_of_a_signal_without_classes() -> None:
    nodes = FrozenMap({"x": Input((2, 3)), "lif": leaky(), "output": Output()})
    program = Program(nodes, (Edge("x.y", "lif.x"), Edge("lif.spk", "output.x")))
    with says("CERate reads a signal [T, B, C]; 'lif.spk' gives [2, 4, 2, 3]; flatten it first"):
        gradients(
            program,
            filled(program, {"beta": 0.5}),
            {"x": zeros(2, 4, 2, 3)},
            {"target": np.zeros(4, int)},
            rate_loss("lif.spk"),
        )
