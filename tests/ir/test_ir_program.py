"""Programs: plain values, and how they are put together."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from hypothesis import given
from ir_strategies import QUICK, programs

from snnhw.errors import ProgramError
from snnhw.ir import (
    MODELS,
    Add,
    Edge,
    Endpoint,
    FrozenMap,
    Input,
    Linear,
    Neuron,
    Op,
    Output,
    ParamSpec,
    Program,
    TimeAxis,
    sequential,
    trainable,
    validate,
)

LEAKY = MODELS["Leaky"]
LAYERS: dict[str, Op] = {"input": Input((4,)), "fc": Linear(4, 3), "lif": Neuron(LEAKY, quantised=True)}


def test_sequential_connects_first_ports() -> None:
    program = sequential(LAYERS)
    assert [(edge.src, edge.dst) for edge in program.edges] == [
        ("input.y", "fc.x"),
        ("fc.y", "lif.x"),
        ("lif.spk", "output.x"),
    ]
    assert validate(program) == ()
    assert program.time == TimeAxis()


def test_sequential_trains_every_weight_or_none() -> None:
    weights = {"fc.weight", "fc.bias", "lif.beta", "lif.threshold"}  # levels are a buffer
    assert sequential(LAYERS).trainable == weights
    frozen = sequential(LAYERS, train=False)
    assert frozen.trainable == frozenset()
    assert trainable(frozen) == sequential(LAYERS)


def test_sequential_keeps_the_time_axis() -> None:
    time = TimeAxis(1e-2, ("input",))
    assert sequential(LAYERS, time=time).time == time


def test_the_name_of_the_last_node_is_taken() -> None:
    with pytest.raises(
        ProgramError, match="'output' is the name that sequential gives to the last node; rename"
    ):
        sequential({"input": Input((4,)), "output": Linear(4, 3)})


@pytest.mark.parametrize(
    ("layers", "pair"),
    [
        ({"input": Input((4,)), "second": Input((4,))}, "'input' to 'second'"),
        ({"input": Input((4,)), "out": Output()}, "'out' to 'output'"),
    ],
)
def test_sequential_needs_ports_on_both_sides(layers: dict[str, Op], pair: str) -> None:
    with pytest.raises(
        ProgramError, match=f"sequential cannot connect {pair}; put an Input first, and no Output"
    ):
        sequential(layers)


def test_endpoints() -> None:
    edge = Edge("encoder.lif1.spk", "fc.x", delay=2)
    assert edge.source == Endpoint("encoder.lif1", "spk")
    assert str(edge.target) == "fc.x"
    assert edge.key == "encoder.lif1.spk->fc.x"


def test_edges_into_a_port_keep_their_listed_order() -> None:
    nodes = {"a": Input((1,)), "b": Input((1,)), "sum": Add(), "out": Output()}
    edges = (Edge("b.y", "sum.x"), Edge("sum.y", "out.x"), Edge("a.y", "sum.x"), Edge("b.y", "sum.x", 1))
    program = Program(FrozenMap(nodes), edges)
    assert [(edge.src, edge.delay) for edge in program.into("sum", "x")] == [
        ("b.y", 0),
        ("a.y", 0),
        ("b.y", 1),
    ]
    assert program.into("a", "x") == ()


def test_names_and_outputs() -> None:
    program = sequential(LAYERS)
    assert program.named(Input) == ("input",)
    assert program.named(Neuron) == ("lif",)
    assert program.outputs() == {"output": "lif.spk"}


def test_tied_parameters_stand_once() -> None:
    tied = Linear(4, 4, keys=FrozenMap({"weight": "one.weight"}))
    program = sequential({"input": Input((4,)), "one": Linear(4, 4), "two": tied})
    assert list(program.params()) == ["one.weight", "one.bias", "two.bias"]
    assert program.params()["one.weight"] == ParamSpec((4, 4), fan_in=4)
    assert program.param_keys("two") == {"weight": "one.weight", "bias": "two.bias"}
    assert program.param_keys("one") == {"weight": "one.weight", "bias": "one.bias"}


@QUICK
@given(programs())
def test_programs_are_values(program: Program) -> None:
    program.into("input", "x")  # fills a cache, which is no part of the value
    for again in (copy.deepcopy(program), pickle.loads(pickle.dumps(program))):
        assert again == program
        assert hash(again) == hash(program)
        assert str(again) == str(program)


def test_programs_cannot_be_changed_from_outside() -> None:
    nodes = dict(LAYERS) | {"output": Output()}
    edges = list(sequential(LAYERS).edges)
    program = Program(nodes, edges, trainable={"fc.weight"})  # type: ignore[arg-type]  # taken over and frozen
    nodes.clear()
    edges.clear()
    assert len(program.nodes) == 4
    assert len(program.edges) == 3
    assert isinstance(hash(program), int)
    with pytest.raises(FrozenInstanceError):
        program.edges = ()  # type: ignore[misc]  # that this is an error is the point


def test_static_inputs_are_taken_from_any_sequence() -> None:
    inputs: Any = ["input"]
    assert TimeAxis(static_inputs=inputs) == TimeAxis(static_inputs=("input",))


def test_what_is_no_op_and_no_edge() -> None:
    nodes: Any = {"input": Input((4,)), "fc": Linear}
    edges: Any = [("input.y", "fc.x")]
    with pytest.raises(ProgramError) as caught:
        Program(nodes, edges)
    assert caught.value.problems == (
        "fc: <class 'snnhw.ir.ops.linear.Linear'> is no op; give a value such as Linear(784, 10)",
        "('input.y', 'fc.x') is no edge; give Edge('a.y', 'b.x')",
    )
