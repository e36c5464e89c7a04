"""The order in which a program runs, and what in it does not change."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import pytest
from passes_programs import graph, valid
from work import growth

from snnhw.ir import Program
from snnhw.passes import Component, components, static_ports


def order(program: Program) -> list[str]:
    return [name for component in components(program) for name in component.nodes]


# -- components -------------------------------------------------------------------------------------


def test_a_chain_runs_in_the_order_of_its_wires_whatever_the_order_of_its_nodes() -> None:
    program = valid(["out", "c", "b", "a", "in"], ["in>a", "a>b", "b>c", "c>out"])
    assert components(program) == tuple(Component((name,), False) for name in ("in", "a", "b", "c", "out"))


def test_independent_parts_run_in_listed_order() -> None:
    program = valid(["in1", "in2", "a", "b", "out1", "out2"], ["in1>a", "in2>b", "a>out1", "b>out2"])
    assert [name for name in order(program) if name in "ab"] == ["a", "b"]
    assert [name for name in order(program) if name.startswith("in")] == ["in1", "in2"]


def test_everything_comes_after_what_it_reads() -> None:
    wires = ["in>a", "in>b", "a>c", "b>c", "b>d", "c>e", "d>e", "e>out"]
    found = order(valid(["in", "e", "d", "c", "b", "a", "out"], wires))
    for wire in wires:
        source, target = wire.split(">")
        assert found.index(source) < found.index(target)


def test_a_cycle_is_one_component_in_the_order_of_a_step() -> None:
    program = valid(["in", "a", "b", "c", "out"], ["in>b", "c>1>b", "b>a", "a>c", "c>out"])
    assert components(program)[1] == Component(("b", "a", "c"), True)


def test_the_order_within_a_step_ignores_delayed_wires_only() -> None:
    program = valid(["in", "a", "b", "out"], ["in>a", "in>b", "b>a", "a>3>b", "a>out"])
    assert components(program)[1] == Component(("b", "a"), True)


def test_a_wire_from_a_node_to_itself_is_recurrence() -> None:
    assert Component(("a",), True) in components(valid(["in", "a", "out"], ["in>a", "a>1>a", "a>out"]))


def test_a_delay_alone_is_none() -> None:
    found = components(valid(["in", "a", "b", "out"], ["in>a", "a>2>b", "b>out"]))
    assert not any(component.recurrent for component in found)


def test_cycles_that_touch_are_one_component_and_those_that_do_not_are_two() -> None:
    wires = ["in>a", "b>1>a", "a>b", "b>c", "d>1>c", "c>d", "d>out"]
    found = [set(c.nodes) for c in components(valid(["in", "a", "b", "c", "d", "out"], wires)) if c.recurrent]
    assert found == [{"a", "b"}, {"c", "d"}]
    touching = components(valid(["in", "a", "b", "c", "d", "out"], [*wires, "c>1>b"]))
    assert [set(c.nodes) for c in touching if c.recurrent] == [{"a", "b", "c", "d"}]


def chain(count: int, *more: str) -> Program:
    names = ["in", *(f"n{number}" for number in range(count)), "out"]
    return graph(names, [*(f"{a}>{b}" for a, b in pairwise(names)), *more])


def alone(count: int) -> Program:
    return chain(count)


def recurrent(count: int) -> Program:
    return chain(count, f"n{count - 1}>1>n0")


def small_cycles(count: int) -> Program:
    return chain(count, *(f"n{number + 1}>1>n{number}" for number in range(0, count, 2)))


@pytest.mark.parametrize("made", [alone, recurrent])
def test_a_chain_may_be_longer_than_pythons_stack(made: Callable[[int], Program]) -> None:
    program = made(sys.getrecursionlimit() + 100)
    assert order(program) == list(program.nodes)


@pytest.mark.parametrize("made", [alone, recurrent, small_cycles])
def test_the_work_is_linear_in_the_size_of_the_program(made: Callable[[int], Program]) -> None:
    assert growth(lambda size: partial(components, made(size)), 100, 1600) < 1.1


def test_of_many_small_cycles_each_is_a_component() -> None:
    found = [component.nodes for component in components(small_cycles(100)) if component.recurrent]
    assert found == [(f"n{number}", f"n{number + 1}") for number in range(0, 100, 2)]


# -- what does not change over time -----------------------------------------------------------------


def test_what_depends_on_static_inputs_alone_is_static_up_to_the_first_neuron() -> None:
    wires = ["in>a", "a>b", "b>lif", "lif>c", "c>out"]
    program = valid(["in", "a", "b", "lif", "c", "out"], wires, static=["in"])
    assert static_ports(program) == {"in.y", "a.y", "b.y"}
    assert static_ports(valid(["in", "a", "b", "lif", "c", "out"], wires)) == frozenset()


def test_one_input_that_changes_is_enough() -> None:
    program = valid(["in1", "in2", "a", "b", "out"], ["in1>a", "in2>b", "a>b", "b>out"], static=["in1"])
    assert static_ports(program) == {"in1.y", "a.y"}


def test_a_delayed_wire_changes_once() -> None:
    program = valid(["in", "a", "b", "out"], ["in>a", "in>1>b", "a>b", "b>out"], static=["in"])
    assert static_ports(program) == {"in.y", "a.y"}


def test_what_feeds_itself_changes() -> None:
    program = valid(["in", "a", "b", "out"], ["in>a", "a>1>a", "a>b", "b>out"], static=["in"])
    assert static_ports(program) == {"in.y"}
