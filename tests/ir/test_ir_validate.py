"""Everything that is wrong with a program, and with parameters for it."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import networkx as nx  # type: ignore[import-untyped]  # published without types
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ir_strategies import CALM, QUICK, programs
from work import growth

from snnhw.errors import ProgramError
from snnhw.ir import (
    MODELS,
    Add,
    ATan,
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
    StraightThrough,
    TimeAxis,
    maximum,
    model,
    require_valid,
    validate,
    var,
)
from snnhw.ir.validate import cycles_without_delay

LEAKY = MODELS["Leaky"]
NODES: dict[str, Op] = {"input": Input((4,)), "fc": Linear(4, 4), "lif": Neuron(LEAKY), "output": Output()}
EDGES = (Edge("input.y", "fc.x"), Edge("fc.y", "lif.x"), Edge("lif.spk", "output.x"))


def program(
    nodes: dict[str, Op] | None = None, edges: Sequence[Edge] = (), only: Sequence[Edge] = EDGES, **rest: Any
) -> Program:
    """A valid program, changed: further nodes, further edges, other edges, and so on."""
    return Program(FrozenMap({**NODES, **(nodes or {})}), (*only, *edges), **rest)


def loop(delay: Any = 1, init: Any = 0.0) -> Edge:
    return Edge("lif.spk", "fc.x", delay, init)


def test_a_valid_program_has_no_problem() -> None:
    assert validate(program()) == ()
    require_valid(program())


@QUICK
@given(programs())
def test_random_programs_are_valid(found: Program) -> None:
    assert validate(found) == ()


# -- One test per message ---------------------------------------------------------------------------

BIG = maximum(var("x"), 0.0)
for _ in range(2100):
    BIG = BIG * 1.5 + var("x")

PROBLEMS: dict[str, tuple[Program, str]] = {
    "node name": (
        program({"my node": Add()}),
        "'my node' cannot name a node; use dotted parts of letters, digits and underscores, at most 256 ch",
    ),
    "newline": (program({"x\n": Add()}), r"'x\n' cannot name a node; use dotted parts"),
    "dots": (program({"a..b": Add()}), "'a..b' cannot name a node"),
    "long name": (program({"n" * 257: Add()}), "nnn' cannot name a node"),
    "no input": (
        Program(FrozenMap({"output": Output()}), ()),
        "it has no Input",
    ),
    "no output": (Program(FrozenMap({"input": Input((4,))}), ()), "it has no Output"),
    "size": (
        program({"big": Pointwise(FrozenMap({"y": BIG}))}, [Edge("fc.y", "big.x")]),
        "big: its equations have 4204 operations; at most 4096 are accepted",
    ),
    "source": (program(edges=[Edge("gone.y", "fc.x")]), "edge gone.y->fc.x: there is no node 'gone'"),
    "target": (program(edges=[Edge("fc.y", "gone.x")]), "edge fc.y->gone.x: there is no node 'gone'"),
    "no dot": (program(edges=[Edge("fc", "lif.x")]), "edge fc->lif.x: there is no node ''"),
    "out port": (
        program(edges=[Edge("lif.y", "fc.x")]),
        "edge lif.y->fc.x: 'lif' has no output 'y'; it has: spk, mem",
    ),
    "in port": (
        program(edges=[Edge("fc.y", "lif.spk")]),
        "edge fc.y->lif.spk: 'lif' has no input 'spk'; it has: x",
    ),
    "into an input": (
        program(edges=[Edge("fc.y", "input.x")]),
        "edge fc.y->input.x: 'input' has no input 'x'; it has: none",
    ),
    "long edge": (
        program(edges=[Edge("n" * 10_000 + ".y", "fc.x")]),
        "there are no nodes with names of that length",
    ),
    "negative delay": (
        program(edges=[loop(-1)]),
        "edge lif.spk->fc.x: delay is a number of steps, 0 or more, not -1",
    ),
    "odd delay": (program(edges=[loop(1.0)]), "delay is a number of steps, 0 or more, not 1.0"),
    "delay of True": (program(edges=[loop(True)]), "delay is a number of steps, 0 or more, not True"),
    "initial value without delay": (
        program({"a": Add()}, [Edge("fc.y", "a.x", 0, 0.5)]),
        "edge fc.y->a.x: an initial value needs a delay of at least 1",
    ),
    "infinite initial value": (
        program(edges=[loop(1, float("inf"))]),
        "edge lif.spk->fc.x: it starts from a finite number or a parameter, not inf",
    ),
    "odd initial value": (
        program(edges=[loop(1, None)]),
        "edge lif.spk->fc.x: it starts from a finite number or a parameter, not None",
    ),
    "initial parameter": (
        program(edges=[loop(1, "lif.bta")]),
        "edge lif.spk->fc.x: it starts from 'lif.bta', which is no parameter",
    ),
    "two delayed edges": (
        program(edges=[loop(1), loop(2)]),
        "edge lif.spk->fc.x: two delayed edges between the same ports; their contents would share a name",
    ),
    "nothing arrives": (program({"a": Add()}), "a.x: nothing arrives here"),
    "two edges to an output": (
        program(edges=[Edge("fc.y", "output.x")]),
        "output: an Output takes one edge, not 2; add them in an Add first",
    ),
    "a delay to an output": (
        program(only=[*EDGES[:2], Edge("lif.spk", "output.x", 1)]),
        "output: the edge into an Output has no delay; delay it on the way to an Add before",
    ),
    "initial parameter of another shape": (
        program(edges=[loop(1, "fc.weight")]),
        "it starts from 'fc.weight' of shape (4, 4), which does not fit values of shape (4,); give a scalar",
    ),
    "dt of 0": (program(time=TimeAxis(0.0)), "dt is a number of seconds greater than 0, not 0.0"),
    "dt of nan": (program(time=TimeAxis(float("nan"))), "dt is a number of seconds greater than 0, not nan"),
    "dt of text": (program(time=TimeAxis("1")), "dt is a number of seconds greater than 0, not '1'"),  # type: ignore[arg-type]
    "static": (
        program(time=TimeAxis(1.0, ("fc",))),
        "static input 'fc' is no Input; inputs: 'input'",
    ),
    "trainable": (
        program(trainable=frozenset({"fc.wieght"})),
        "'fc.wieght' is marked trainable but is no parameter",
    ),
    "buffer": (
        program({"lif": Neuron(LEAKY, quantised=True)}, trainable=frozenset({"lif.levels"})),
        "'lif.levels' is a buffer and cannot be trained",
    ),
    "tied name": (
        program({"fc": Linear(4, 4, keys=FrozenMap({"wieght": "lif.beta"}))}),
        "fc: it ties 'wieght', but its parameters are: 'weight', 'bias'",
    ),
    "tied key": (
        program({"fc": Linear(4, 4, keys=FrozenMap({"weight": "__metadata__"}))}),
        "fc.weight: tied to '__metadata__', which is no key such as 'fc.weight'",
    ),
    "tied shape": (
        program({"fc": Linear(4, 4, keys=FrozenMap({"bias": "lif.beta"}))}),
        "fc.bias: tied to 'lif.beta' of shape (), but needs (4,)",
    ),
    "cycle": (
        program(edges=[loop(0)]),
        "the cycle fc -> lif -> fc has no delay; put delay=1 on one of its edges",
    ),
    "cycle of one": (
        program(edges=[Edge("lif.mem", "lif.x")]),
        "the cycle lif -> lif has no delay; put delay=1 on one of its edges",
    ),
    "shape": (program({"fc": Linear(5, 4)}), "fc: Linear takes (..., 5), not (4,); is a Flatten missing?"),
}


@pytest.mark.parametrize(("wrong", "message"), PROBLEMS.values(), ids=PROBLEMS)
def test_messages(wrong: Program, message: str) -> None:
    assert any(message in problem for problem in validate(wrong)), validate(wrong)
    assert all(len(problem) < 400 for problem in validate(wrong))
    with pytest.raises(ProgramError):
        require_valid(wrong)


def test_equations_that_do_not_compose() -> None:
    pole = model(
        "Pole",
        states="mem",
        params=(Param("threshold", 1.0),),
        integrate={"mem": maximum(2.0, 1.0)},
        fire=1.0 / (var("mem") - 2.0),
    )
    (problem,) = validate(program({"lif": Neuron(pole, reset="none")}))
    assert problem == "lif: its equations do not compose: div(1.0, 0.0) has no finite value"


def test_several_problems_at_once() -> None:
    wrong = program(
        {"a": Add(), "b c": Add()},
        [Edge("gone.y", "a.x"), Edge("fc.y", "lif.y"), loop(-1)],
        trainable=frozenset({"fc.wieght"}),
    )
    problems = validate(wrong)
    assert len(problems) == 4  # those of the graph; what depends on it is looked at when it is sound
    assert {problem.split(":")[0].split(" cannot")[0] for problem in problems} == {
        "'b c'",
        "edge gone.y->a.x",
        "edge fc.y->lif.y",
        "edge lif.spk->fc.x",
    }
    with pytest.raises(ProgramError) as caught:
        require_valid(wrong)
    assert caught.value.problems == problems
    assert str(caught.value).startswith("this program is not valid, for 4 reasons:\n  - ")


def test_several_problems_of_a_sound_graph() -> None:
    wrong = program(
        {"a": Add()}, [loop(0)], time=TimeAxis(-1.0, ("fc",)), trainable=frozenset({"fc.wieght", "lif.bta"})
    )
    assert len(validate(wrong)) == 6


def test_a_static_input_may_feed_a_loop() -> None:
    assert validate(program(edges=[loop(3, "lif.beta")], time=TimeAxis(1, ("input",)))) == ()


# -- Cycles -----------------------------------------------------------------------------------------


def graph(size: int, arrows: Sequence[tuple[int, int, int]]) -> Program:
    nodes = {f"n{number}": Add() for number in range(size)}
    return Program(FrozenMap(nodes), tuple(Edge(f"n{a}.y", f"n{b}.x", delay) for a, b, delay in arrows))


@CALM
@given(st.data())
def test_cycles_are_those_that_networkx_finds(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 12))
    place = st.integers(0, size - 1)
    arrows = data.draw(st.lists(st.tuples(place, place, st.sampled_from([0, 0, 1, 2])), max_size=24))
    now = nx.DiGraph([(f"n{a}", f"n{b}") for a, b, delay in arrows if delay == 0])
    found = cycles_without_delay(graph(size, arrows))
    assert bool(found) == (not nx.is_directed_acyclic_graph(now))
    for cycle in found:
        assert cycle[0] == cycle[-1]
        assert len(set(cycle)) == len(cycle) - 1
        assert all(now.has_edge(a, b) for a, b in itertools.pairwise(cycle))


def test_delays_break_cycles_anywhere() -> None:
    assert cycles_without_delay(graph(3, [(0, 1, 0), (1, 2, 0), (2, 0, 1)])) == []
    assert cycles_without_delay(graph(3, [(0, 1, 0), (1, 2, 0), (2, 0, 1), (2, 0, 0)])) == [
        ["n0", "n1", "n2", "n0"]
    ]


def test_nodes_before_and_behind_a_cycle_are_no_part_of_it() -> None:
    assert cycles_without_delay(graph(4, [(0, 1, 0), (1, 2, 0), (2, 1, 0), (2, 3, 0)])) == [
        ["n1", "n2", "n1"]
    ]


# -- Size -------------------------------------------------------------------------------------------


def backwards(size: int) -> Program:
    """A long chain, listed from its end."""
    kinds: tuple[Op, ...] = (Add(), Linear(2, 2), Neuron(LEAKY))
    nodes: dict[str, Op] = {"input": Input((2,)), **{f"n{i}": kinds[i % 3] for i in range(size)}}
    nodes["output"] = Output()
    names = list(nodes)
    edges = [Edge(f"{a}.{nodes[a].out_ports[0]}", f"{b}.x") for a, b in itertools.pairwise(names)]
    return Program(FrozenMap(reversed(nodes.items())), tuple(reversed(edges)))


def test_a_chain_may_be_longer_than_pythons_stack() -> None:
    assert validate(backwards(sys.getrecursionlimit() + 100)) == ()


def test_the_work_is_linear_in_the_size_of_the_program() -> None:
    assert growth(lambda size: partial(validate, backwards(size)), 100, 1600) < 1.1


def ring(size: int) -> Program:
    return graph(size, [(i, (i + 1) % size, 0) for i in range(size)])


def test_a_long_cycle_is_found_and_drawn_by_its_ends() -> None:
    (cycle,) = cycles_without_delay(ring(2000))
    assert len(cycle) == 2001
    nodes: dict[str, Op] = {f"a{i}": Add() for i in range(100)}
    wires = [Edge(f"a{i}.y", f"a{(i + 1) % 100}.x") for i in range(100)]
    (problem,) = validate(program(nodes, [*wires, Edge("fc.y", "a0.x")]))
    assert problem.startswith("the cycle a")
    assert " -> ... -> " in problem
    assert len(problem) < 200


def test_the_work_for_a_cycle_is_linear_in_its_length() -> None:
    assert growth(lambda size: partial(cycles_without_delay, ring(size)), 100, 1600) < 1.1


def test_an_error_of_many_problems_shows_a_screenful() -> None:
    wrong = graph(1000, [(i, 2000, 0) for i in range(1000)])
    with pytest.raises(ProgramError) as caught:
        require_valid(wrong)
    assert len(caught.value.problems) == 1002
    assert str(caught.value).endswith("  ... and 982 more")


def test_equal_neurons_and_others_are_each_looked_at() -> None:
    surrogates = [ATan(), ATan(), StraightThrough()]
    nodes: dict[str, Op] = {f"l{i}": Neuron(LEAKY, surrogate=s) for i, s in enumerate(surrogates)}
    assert validate(program(nodes, [Edge("fc.y", f"l{i}.x") for i in range(3)])) == ()
