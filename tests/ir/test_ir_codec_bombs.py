"""Programs as JSON values: small files that would take hours are refused in no time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from ir_nets import LEAKY, network, through

from snnhw.errors import LoadError
from snnhw.ir import (
    ATan,
    FrozenMap,
    Input,
    Neuron,
    Op,
    Output,
    Program,
    sequential,
)
from snnhw.ir.codec import from_json, to_json

Json = Any
Change = Callable[[Json], Any]


def chain_of(count: int) -> list[Json]:
    """Expression lines: x, then ``count`` nested additions, then one root."""
    lines: list[Json] = [["var", "x"], *(["add", i, i] for i in range(count))]
    return [*lines, ["root", count]]


def quick(data: Json) -> None:
    start = time.perf_counter()
    with pytest.raises(LoadError, match="its equations are too large: more than 500000 operations together"):
        from_json(data)
    assert time.perf_counter() - start < 5


def test_many_references_to_one_large_expression() -> None:
    data = to_json(network())
    data["expressions"] = chain_of(20_000)
    data["models"], data["nodes"] = [], [data["nodes"][0]]
    data["nodes"] += [[f"p{i}", {"type": "Pointwise", "outputs": {"y": 0}}] for i in range(5000)]
    quick(data)


def test_many_models_of_one_large_expression() -> None:
    data = to_json(network())
    data["expressions"] = chain_of(4000)
    one: Json = {"name": "M", "states": [{"name": "s"}], "params": [], "integrate": {"s": 0}, "fire": None}
    one |= {"resets": {"none": {"s": 0}}, "post": {"delayed": {"none": {}}}, "reset": "none"}
    data["nodes"], data["models"] = [], [one] * 5000
    quick(data)


def test_many_neurons_of_one_large_model() -> None:
    data = to_json(network())
    data["expressions"] = chain_of(4000)
    one: Json = {"name": "M", "states": [{"name": "s"}], "params": [], "integrate": {"s": 0}, "fire": None}
    one |= {"resets": {"none": {"s": 0}}, "post": {"delayed": {"none": {}}}, "reset": "none"}
    data["models"] = [one]
    neuron = {"type": "Neuron", "model": 0, "reset": "none"}
    data["nodes"] = [
        [f"n{i}", {**neuron, "surrogate": {"type": "ATan", "alpha": 1.0 + i}}] for i in range(2000)
    ]
    quick(data)


def with_slope(lines: list[Json], layers: int = 1) -> Json:
    """A file whose neurons have the surrogate that these lines say."""
    data = to_json(sequential({"lif": Neuron(LEAKY)}))
    roots = sum(line[0] == "root" for line in data["expressions"])
    before = len(data["expressions"]) - roots
    for op, *rest in lines:
        data["expressions"].append([op, *(item + before if type(item) is int else item for item in rest)])
    neuron = data["nodes"][0][1] | {"surrogate": {"type": "Custom", "slope": roots}}
    data["nodes"] = [[f"n{number}", neuron] for number in range(layers)]
    return data


def test_many_surrogates_of_one_large_expression() -> None:
    quick(with_slope([["var", "z"], *chain_of(2000)[1:]], layers=2000))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            [["var", "beta"], ["root", 0]],
            r"surrogate: Custom\(slope=beta\): .* the variable z and of",
        ),
        ([["var", "z"], ["greater", 0, 0], ["root", 1]], r"surrogate: Custom\(slope=z > z\): .* a number"),
        ([["var", "z"], ["nearest", 0, "levels"], ["root", 1]], r"of the variable z and of nothing else"),
        ([["var", "z"], *chain_of(5000)[1:]], "give at most 4096 operations"),
    ],
    ids=["another variable", "a bool", "a table", "too large"],
)
def test_a_custom_surrogate_that_is_no_derivative(lines: list[Json], message: str) -> None:
    with pytest.raises(LoadError, match=message):
        from_json(with_slope(lines))


def test_many_equal_neurons_are_no_bomb() -> None:
    layers: dict[str, Op] = {"input": Input((4,)), **{f"lif{i}": Neuron(LEAKY) for i in range(3000)}}
    program = sequential(layers)
    assert through(program) == program


def test_a_surrogate_that_nobody_registered_cannot_be_read() -> None:
    @dataclass(frozen=True)
    class Mine(ATan):
        pass

    data = to_json(sequential({"input": Input((4,)), "lif": Neuron(LEAKY, surrogate=Mine())}))
    with pytest.raises(LoadError, match=r"surrogate.type: 'Mine' is not one of Custom, StraightThrough, "):
        from_json(data)


def test_outputs_of_a_program_are_no_part_of_the_file() -> None:
    assert set(to_json(Program(FrozenMap({"output": Output()}), ()))) == {
        "ir_version",
        "models",
        "expressions",
        "nodes",
        "edges",
        "time",
        "trainable",
    }
