"""Ops in other words: what stays as it was, and that it means the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest

from snnhw.errors import ProgramError
from snnhw.ir import (
    MODELS,
    OPS,
    Add,
    AvgPool1d,
    Edge,
    Flatten,
    FrozenMap,
    Gather,
    Input,
    LayerNorm,
    Linear,
    MaxPool1d,
    Neuron,
    Op,
    Output,
    ParamSpec,
    Parts,
    Pointwise,
    Program,
    Reshape,
    Scale,
    Shape,
    Sum,
    init_params,
    is_core,
    part,
    trainable,
    validate,
    var,
)
from snnhw.ir.inputs import state_shapes
from snnhw.passes import became, expand, lacking
from snnhw.reference import Gradients, execute, pullback

CORE = frozenset(kind for kind in OPS.values() if is_core(kind))


def network(*edges: Edge, **nodes: Op) -> Program:
    """A chain of ``nodes`` from an input of shape ``(2, 4)`` on, and further edges."""
    every: dict[str, Op] = {"x": Input((2, 4)), **{n.replace("__", "."): op for n, op in nodes.items()}}
    names = list(every)
    ports = [f"{name}.{every[name].out_ports[0]}" for name in names]
    wires = [Edge(ports[at], f"{names[at + 1]}.x") for at in range(len(names) - 1)]
    wires.append(Edge(ports[-1], "out.x"))
    return trainable(Program(FrozenMap({**every, "out": Output()}), (*wires, *edges)))


def recurrent() -> Program:
    """A norm in a loop: its output comes back to it after two steps, and spikes after one."""
    return network(
        Edge("enc.norm.y", "enc.norm.x", delay=2, init="lif.threshold"),
        Edge("lif.spk", "enc.norm.x", delay=1, init=-0.5),
        fc=Linear(4, 4),
        enc__norm=LayerNorm((4,)),
        lif=Neuron(MODELS["Leaky"]),
        pool=AvgPool1d((2,), (2,)),
        flat=Flatten(),
    )


def run(program: Program, record: tuple[str, ...]) -> Gradients:
    draw = np.random.default_rng(3)
    params = init_params(program, 1, "float64", {"lif.beta": 0.75})
    inputs = {"x": draw.normal(size=(5, 3, 2, 4))}
    seeds = {record[0]: draw.normal(size=(5, 3, 4))}
    state = {key: draw.normal(size=shape) for key, shape in sorted(state_shapes(program, 3).items())}
    return pullback(
        program, params, inputs, seeds, state=state, record=record, wrt_inputs=True, wrt_state=True
    )


def close(found: Mapping[str, object], wanted: Mapping[str, object]) -> None:
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_allclose(found[name], array, atol=1e-12, err_msg=name)  # type: ignore[call-overload]


def test_ports_states_and_parameters_keep_their_names_and_values() -> None:
    program = recurrent()
    apart = expand(program, CORE)
    assert {type(op) for op in apart.nodes.values()} <= CORE
    assert validate(apart) == ()
    assert apart.params() == program.params()
    assert state_shapes(apart, 3) == state_shapes(program, 3)
    record = ("flat.y", "enc.norm.y", "lif.mem", "pool.y")
    found, wanted = run(apart, record), run(program, record)
    close(found.execution.recordings, wanted.execution.recordings)
    close(found.execution.outputs, wanted.execution.outputs)
    close(found.execution.state, wanted.execution.state)
    close(found.params, wanted.params)
    close(found.inputs, wanted.inputs)
    close(found.state, wanted.state)


def test_where_everything_is_wanted_the_program_is_itself() -> None:
    program = recurrent()
    assert expand(program, OPS.values()) is program
    assert list(became(program, program)) == []


def test_only_what_is_not_wanted_is_replaced() -> None:
    apart = expand(recurrent(), {*CORE, LayerNorm})
    assert apart.nodes["enc.norm"] == LayerNorm((4,))
    assert dict(became(recurrent(), apart)) == {
        "pool": ("Gather", "Reshape", "Sum", "Pointwise"),
        "flat": ("Reshape",),
    }


def test_an_op_whose_parts_are_not_wanted_stays_and_it_is_said_what_is_lacking() -> None:
    program = recurrent()
    wanted = CORE - {Sum, Gather}
    apart = expand(program, wanted)
    assert [name for name, _ in became(program, apart)] == ["flat"]
    assert lacking(program, "pool", wanted) == (Gather, Sum)
    assert lacking(program, "enc.norm", wanted) == (Sum,)
    assert lacking(program, "fc", wanted - {Linear}) == (Linear,)


def test_edges_without_a_delay_are_shared_out_and_late_ones_meet_once() -> None:
    """Each part that reads a port has an edge of its own, or all of them the sum of what arrives."""
    nodes = {"fc": Linear(4, 4), "own": Spread()}
    now, late = Edge("x.y", "own.x"), Edge("own.y", "own.x", delay=2, init=0.25)
    apart = expand(network(now, **nodes), CORE)
    assert [edge.dst for edge in apart.edges if edge.src == "fc.y"] == ["own.square.x", "own.x"]
    program = network(now, late, **nodes)
    apart = expand(program, {*CORE, Add})
    assert [(edge.src, edge.key) for edge in apart.edges if edge.dst == "own.x.x"] == [
        ("fc.y", "fc.y->own.x.x"),
        ("x.y", "x.y->own.x.x"),
        ("own.y", "own.y->own.x"),
    ]
    inputs = {"x": np.random.default_rng(1).normal(size=(4, 1, 2, 4))}
    params = init_params(program, 2, "float64")
    found, wanted = (execute(each, params, inputs) for each in (expand(program, CORE), program))
    close(found.outputs, wanted.outputs)
    close(found.state, wanted.state)
    assert set(found.state) == {"own.y->own.x"}


def test_a_name_that_is_taken_stays_with_its_node() -> None:
    program = network(enc=LayerNorm((4,)), enc__sum=Scale(), enc__sum_=Scale())
    apart = expand(program, {*CORE, Scale})
    assert apart.nodes["enc.sum"] == apart.nodes["enc.sum_"] == Scale()
    assert apart.nodes["enc.sum__"] == Sum()
    assert validate(apart) == ()


def test_parameters_that_are_tied_stay_tied() -> None:
    tied = LayerNorm((4,), keys=FrozenMap({"weight": "a.weight"}))
    program = network(a=LayerNorm((4,)), b=tied)
    apart = expand(program, CORE)
    assert apart.params() == program.params()
    assert apart.param_keys("b.weight") == {"value": "a.weight"}
    assert apart.param_keys("b.bias") == {"value": "b.bias"}


def test_parts_have_parts() -> None:
    """As deep as it takes, and no deeper."""
    program = network(own=Normed((4,)))
    assert dict(became(program, expand(program, {*CORE, LayerNorm})))["own"] == ("LayerNorm", "Pointwise")
    apart = expand(program, CORE)
    assert {type(op) for op in apart.nodes.values()} <= CORE
    assert apart.param_keys("own.norm.weight") == {"value": "own.gain"}
    assert apart.params() == program.params()


def test_an_op_that_is_made_of_itself_is_made_of_nothing() -> None:
    program = network(own=Endless())
    assert expand(program, CORE) is program
    assert lacking(program, "own", CORE) == (Endless,)


def test_a_program_that_makes_no_sense_is_left_to_who_says_so() -> None:
    program = network(pool=MaxPool1d((7,), (7,)), own=LayerNorm((3,)), flat=Flatten())
    assert expand(program, CORE).nodes["flat"] == Flatten()
    assert validate(program)


def test_parts_that_do_not_fit_are_told_with_the_node() -> None:
    message = r"own: Wrong\.parts\(\): they give 'y' the shape \(8,\), and the whole \(2, 4\)"
    with pytest.raises(ProgramError, match=message):
        expand(network(own=Wrong()), CORE)


@dataclass(frozen=True)
class Spread(Op):
    """``y = x^2 / 4 + x / 2``: two of its parts read its port."""

    def infer(self, shapes: Mapping[str, Shape]) -> Mapping[str, Shape]:
        return {"y": shapes["x"]}

    def parts(self, shapes: Mapping[str, Shape]) -> Parts:
        square = Pointwise(FrozenMap({"y": var("x") * var("x")}))
        total = Pointwise(FrozenMap({"y": var("square") / 4.0 + var("x") / 2.0}), ("x", "square"))
        return {"square": part(square, x="x"), "": part(total, x="x", square="square.y")}


@dataclass(frozen=True)
class Normed(LayerNorm):
    """A layer norm without a bias, whose weight is called otherwise, and the half of it."""

    bias: bool = False

    def params(self) -> Mapping[str, ParamSpec]:
        return {"gain": LayerNorm(self.shape, bias=False).params()["weight"]}

    def parts(self, shapes: Mapping[str, Shape]) -> Parts:
        norm = LayerNorm(self.shape, bias=False, keys=FrozenMap({"weight": "gain"}))
        return {"norm": part(norm, x="x"), "": part(Pointwise(FrozenMap({"y": var("x") / 2.0})), x="norm.y")}


@dataclass(frozen=True)
class Endless(Spread):
    """Made of another of its kind."""

    def parts(self, shapes: Mapping[str, Shape]) -> Parts:
        return {"": part(Endless(), x="x")}


@dataclass(frozen=True)
class Wrong(Spread):
    """Made of something of another shape."""

    def parts(self, shapes: Mapping[str, Shape]) -> Parts:
        return {"": part(Reshape((8,)), x="x")}
