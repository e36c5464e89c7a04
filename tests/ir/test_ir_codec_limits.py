"""Programs as JSON values: a small file whose parts multiply is refused before they do.

The limit is set low for it, and what it costs to refuse a file does not rise with what the file asks for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from ir_nets import LEAKY, network
from work import growth, lines

from snnhw.errors import LoadError
from snnhw.ir import (
    ATan,
    FrozenMap,
    Input,
    Neuron,
    Output,
    Program,
    sequential,
)
from snnhw.ir.codec import from_json, to_json
from snnhw.ir.limits import Limits
from snnhw.ir.text import MAX_NODES

Json = Any
Change = Callable[[Json], Any]


def chain_of(count: int) -> list[Json]:
    """Expression lines: x, then ``count`` nested additions, then one root."""
    return [["var", "x"], *(["add", i, i] for i in range(count)), ["root", count]]


LOW = Limits(work=2000)


def refused(data: Json) -> None:
    with pytest.raises(LoadError, match="its equations are too large: more than 2000 operations together"):
        from_json(data, LOW)


def references(count: int) -> Json:
    """Nodes that all refer to one large expression."""
    data = to_json(network())
    data["expressions"] = chain_of(100)
    data["models"], data["nodes"] = [], [data["nodes"][0]]
    data["nodes"] += [[f"p{i}", {"type": "Pointwise", "outputs": {"y": 0}}] for i in range(count)]
    return data


MODEL: Json = {
    "name": "M",
    "states": [{"name": "s"}],
    "params": [],
    "integrate": {"s": 0},
    "fire": None,
    "resets": {"none": {"s": 0}},
    "post": {"delayed": {"none": {}}},
    "reset": "none",
}


def models(count: int) -> Json:
    """Models of one large expression."""
    data = to_json(network())
    data["expressions"], data["nodes"], data["models"] = chain_of(100), [], [MODEL] * count
    return data


def neurons(count: int) -> Json:
    """Different neurons of one large model."""
    data = to_json(network())
    data["expressions"], data["models"] = chain_of(100), [MODEL]
    neuron = {"type": "Neuron", "model": 0, "reset": "none"}
    data["nodes"] = [
        [f"n{i}", {**neuron, "surrogate": {"type": "ATan", "alpha": 1.0 + i}}] for i in range(count)
    ]
    return data


def with_slope(written: list[Json], layers: int = 1) -> Json:
    """A file whose neurons have the surrogate that these lines say."""
    data = to_json(sequential({"lif": Neuron(LEAKY)}))
    roots = sum(line[0] == "root" for line in data["expressions"])
    before = len(data["expressions"]) - roots
    for op, *rest in written:
        data["expressions"].append([op, *(item + before if type(item) is int else item for item in rest)])
    neuron = data["nodes"][0][1] | {"surrogate": {"type": "Custom", "slope": roots}}
    data["nodes"] = [[f"n{number}", neuron] for number in range(layers)]
    return data


def surrogates(count: int) -> Json:
    """Layers of one surrogate of a large expression."""
    return with_slope([["var", "z"], *chain_of(100)[1:]], layers=count)


@pytest.mark.parametrize("made", [references, models, neurons, surrogates])
def test_what_many_share_counts_each_time(made: Callable[[int], Json]) -> None:
    refused(made(50))


@pytest.mark.parametrize("made", [references, models, surrogates])
def test_to_refuse_costs_the_same_whatever_is_asked_for(made: Callable[[int], Json]) -> None:
    few, many = made(100), made(1600)
    assert lines(lambda: refused(many)) < 1.1 * lines(lambda: refused(few))


def test_to_refuse_costs_no_more_than_there_is_to_read() -> None:
    """Neurons are read before it is known how many differ; what is refused is to compose them."""
    assert growth(lambda size: partial(refused, neurons(size)), 100, 1600) < 1.1


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (
            [["var", "beta"], ["root", 0]],
            r"surrogate: Custom\(slope=beta\): .* the variable z and of",
        ),
        ([["var", "z"], ["greater", 0, 0], ["root", 1]], r"surrogate: Custom\(slope=z > z\): .* a number"),
        ([["var", "z"], ["nearest", 0, "levels"], ["root", 1]], r"of the variable z and of nothing else"),
        ([["var", "z"], *chain_of(MAX_NODES)[1:]], f"give at most {MAX_NODES} operations"),
    ],
    ids=["another variable", "a bool", "a table", "too large"],
)
def test_a_custom_surrogate_that_is_no_derivative(written: list[Json], message: str) -> None:
    with pytest.raises(LoadError, match=message):
        from_json(with_slope(written))


def test_equal_neurons_count_once() -> None:
    one, many = (
        sequential({"input": Input((4,)), **{f"lif{i}": Neuron(LEAKY) for i in range(count)}})
        for count in (1, 300)
    )
    least = next(most for most in range(1000) if accepted(to_json(one), most))
    assert accepted(to_json(many), least)


def accepted(data: Json, most: int) -> bool:
    """Whether it is read when its equations may have that many operations."""
    try:
        from_json(data, Limits(work=most))
    except LoadError:
        return False
    return True


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
