"""Programs as JSON values: nothing lost, and nothing accepted that `to_json` did not write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from ir_nets import LEAKY, network, through
from ir_strategies import QUICK, programs

from snnhw.conformance.cases.making.examples import EXAMPLES as SUITE
from snnhw.errors import LoadError
from snnhw.ir import (
    MODELS,
    OPS,
    SURROGATES,
    Add,
    ATan,
    AvgPool1d,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Concat,
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    Dropout,
    FastSigmoid,
    Flatten,
    FrozenMap,
    Gather,
    Input,
    LayerNorm,
    Linear,
    MatMul,
    MaxPool1d,
    MaxPool2d,
    Neuron,
    Op,
    Output,
    Param,
    Parameter,
    Pointwise,
    Program,
    Reshape,
    SaturatingLinear,
    Scale,
    Slice,
    StraightThrough,
    Sum,
    SumPool1d,
    SumPool2d,
    TimeAxis,
    Unflatten,
    Upsample,
    WinnerTakeAll,
    model,
    sequential,
    var,
)
from snnhw.ir.codec import from_json, to_json
from snnhw.ir.limits import Limits

Json = Any
Change = Callable[[Json], Any]


@QUICK
@given(programs())
def test_round_trip(program: Program) -> None:
    again = through(program)
    assert again == program
    assert str(again) == str(program)
    assert list(again.nodes) == list(program.nodes)
    for name, op in program.nodes.items():  # equality of maps ignores their order, which means something
        assert again.nodes[name].out_ports == op.out_ports
        assert again.nodes[name].in_ports == op.in_ports
        assert list(again.nodes[name].params()) == list(op.params())


def test_models_stand_once_and_expressions_are_shared() -> None:
    layers: dict[str, Op] = {"input": Input((4,)), **{f"lif{i}": Neuron(LEAKY) for i in range(50)}}
    written = to_json(sequential(layers))
    assert len(written["models"]) == 1
    assert len([line for line in written["expressions"] if line == ["var", "beta"]]) == 1
    assert {node["model"] for _, node in written["nodes"] if node["type"] == "Neuron"} == {0}


def test_a_model_that_nobody_registered_comes_back_whole() -> None:
    own = model("Own", states="mem", params=(), integrate={"mem": 0.5 * var("mem") + var("x")}, fire=None)
    again = through(sequential({"input": Input((4,)), "own": Neuron(own, reset="none")})).nodes["own"]
    assert isinstance(again, Neuron)
    assert again.model == own
    assert again.equations() == Neuron(own, reset="none").equations()
    assert "Own" not in MODELS


def test_every_number_keeps_its_bits() -> None:
    odd = 0.1 + 0.2
    neuron = Neuron(LEAKY, surrogate=ATan(odd))
    program = sequential({"input": Input((4,)), "lif": neuron}, time=TimeAxis(5e-324))
    again = through(program)
    assert again.time.dt == 5e-324
    assert again.nodes["lif"] == neuron


def test_whole_numbers_are_numbers() -> None:
    data = to_json(network())
    data["time"]["dt"] = 1
    data["edges"][-1]["init"] = 2
    again = from_json(data)
    assert (type(again.time.dt), again.edges[-1].init) == (float, 2.0)


EXAMPLES: list[Op] = [
    Input((2, 3)),
    Output(),
    Linear(3, 4, bias=False),
    SaturatingLinear(3, 4, bits=12),
    Conv2d(2, 4, (3, 1), (2, 1), (1, 0), (1, 2), 2, bias=False),
    MaxPool2d((2, 2), (1, 2), (1, 0)),
    AvgPool2d((2, 2), (1, 2), (1, 0)),
    Conv1d(2, 4, (3,), stride=(2,)),
    Conv3d(2, 4, (3, 1, 2), padding=(0, 1, 2)),
    ConvTranspose1d(2, 4, (3,), (2,), output_padding=(1,)),
    ConvTranspose2d(2, 4, (3, 1), (2, 1), (1, 0), (1, 2), 2, False, (1, 0)),
    *(kind((2,), (1,), (1,)) for kind in (MaxPool1d, AvgPool1d, SumPool1d)),
    SumPool2d((2, 2), (1, 2), (1, 0)),
    Upsample((2, 3), "linear"),
    Unflatten(1, (2, 3)),
    Reshape((2, 3)),
    Gather(1, (2, -1, 0)),
    Sum(1),
    Parameter((2, 3), None, 4),
    Slice(1, 2, 5),
    Scale((2, 1)),
    LayerNorm((2, 3), 0.5, bias=False),
    MatMul(),
    WinnerTakeAll(1),
    BatchNorm1d(3, "folded", None, 0.25, 0.5, bias=False),
    BatchNorm2d(3, time_steps=7, weight=False),
    Dropout(0.25, "held"),
    Flatten(1, 2),
    Concat(1, (2, 3)),
    Add(keys=FrozenMap({"weight": "a.weight"})),
    Pointwise(
        FrozenMap({"z": var("k"), "a": var("x") + var("p")}), ("x", "k"), (Param("p", 1, 0, 2, "about"),)
    ),
    *(
        Neuron(LEAKY, "zero", "retest", surrogate, True, True)
        for surrogate in (None, *(kind() for kind in SURROGATES.values()), ATan(3), FastSigmoid(2))
    ),
    Neuron(LEAKY, surrogate=StraightThrough(), param_shapes=FrozenMap({"threshold": (3,), "beta": ()})),
    *(op for found in SUITE.values() for op, *_ in found.values()),
]


def test_there_is_an_example_of_every_class() -> None:
    assert {type(op) for op in EXAMPLES} == set(OPS.values())
    surrogates = {type(op.surrogate) for op in EXAMPLES if isinstance(op, Neuron)}
    assert surrogates == {*SURROGATES.values(), type(None)}


@pytest.mark.parametrize("op", EXAMPLES, ids=lambda op: op.summary())
def test_every_class_comes_back(op: Op) -> None:
    again = through(Program(FrozenMap({"only": op}), ())).nodes["only"]
    assert again == op
    assert again.summary() == op.summary()


# -- What is not accepted ---------------------------------------------------------------------------


def put(*path: Any) -> Change:
    """A change that sets the last item at the place that the others lead to; `...` removes it."""
    *places, name, value = path

    def change(data: Json) -> None:
        for place in places:
            data = data[place]
        if value is ...:
            del data[name]
        else:
            data[name] = value

    return change


FC, LIF, GAIN = ("nodes", 1, 1), ("nodes", 2, 1), ("nodes", 3, 1)

WRONG: dict[str, tuple[Change, str]] = {
    "version": (put("ir_version", 2), "the file has ir_version 2; this release reads 1"),
    "no version": (put("ir_version", ...), "the file has ir_version None; this release reads 1"),
    "stray part": (
        put("code", "import os"),
        r"file: \['code'\] is not a field; known: models, expressions, nodes",
    ),
    "no nodes": (put("nodes", ...), "nodes: None is not a list"),
    "nodes by name": (put("nodes", {}), r"nodes: \{\} is not a list"),
    "a node alone": (put("nodes", 1, "fc"), r"nodes\[1\]: 'fc' is not a list"),
    "half a node": (put("nodes", 1, ["fc"]), r"nodes\[1\]: \['fc'\] is not a list of 2"),
    "node name": (put("nodes", 1, 0, 7), r"nodes\[1\]\[0\]: 7 is not a value of type str"),
    "repeated name": (put("nodes", 2, 0, "fc"), "nodes: 'a repeated name' is not every name once"),
    "no op": (put("nodes", 1, 1, None), r"nodes\[1\]\[1\]: None is not an object"),
    "unknown op": (
        put(*FC, "type", "Lambda"),
        r"nodes\[1\]\[1\].type: 'Lambda' is not one of .*Conv2d, .*Input, Output",
    ),
    "no type": (put(*FC, "type", ...), r"nodes\[1\]\[1\].type: None is not one of "),
    "odd type": (put(*FC, "type", []), r"nodes\[1\]\[1\].type: \[\] is not one of "),
    "a base class": (put(*FC, "type", "Op"), r"type: 'Op' is not one of "),
    "stray field": (
        put(*FC, "evil", 1),
        r"nodes\[1\]\[1\]: \['evil'\] is not a field; known: keys, in_features",
    ),
    "missing field": (put(*FC, "in_features", ...), r"nodes\[1\]\[1\]: the field 'in_features' is missing"),
    "wrong type": (
        put(*FC, "in_features", "4"),
        r"nodes\[1\]\[1\].in_features: '4' is not a value of type int",
    ),
    "a bool for an int": (put(*FC, "in_features", True), r"in_features: True is not a value of type int"),
    "an int for a bool": (put(*FC, "bias", 1), r"nodes\[1\]\[1\].bias: 1 is not a value of type bool"),
    "senseless value": (
        put(*FC, "in_features", -4),
        r"nodes\[1\]\[1\]: .*Linear\(in_features=-4\): give a positive",
    ),
    "keys": (put(*FC, "keys", []), r"nodes\[1\]\[1\].keys: \[\] is not an object"),
    "shape": (put(*LIF, "param_shapes", {"beta": 4}), r"param_shapes.beta: 4 is not a list"),
    "part of a shape": (
        put(*LIF, "param_shapes", {"beta": [4.0]}),
        r"param_shapes.beta\[0\]: 4.0 is not a value of",
    ),
    "surrogate": (put(*LIF, "surrogate", "type", "Evil"), r"surrogate.type: 'Evil' is not one of "),
    "surrogate slope": (
        put(*LIF, "surrogate", {"type": "Custom", "slope": 10**6}),
        "surrogate.slope: 1000000 is not the number of a table entry",
    ),
    "surrogate setting": (
        put(*LIF, "surrogate", "alpha", None),
        "surrogate.alpha: None is not a value of type float",
    ),
    "huge setting": (
        put(*LIF, "surrogate", "alpha", 10**400),
        "surrogate.alpha: 1000.* is not a value of type float",
    ),
    "model number": (put(*LIF, "model", 1), r"nodes\[2\]\[1\].model: 1 is not the number of a table entry"),
    "negative model": (put(*LIF, "model", -1), "model: -1 is not the number of a table entry"),
    "a bool as model": (put(*LIF, "model", False), "model: False is not the number of a table entry"),
    "expression number": (
        put(*GAIN, "outputs", "y", 999),
        "outputs.y: 999 is not the number of a table entry",
    ),
    "an expression in place": (
        put(*GAIN, "outputs", "y", ["var", "x"]),
        "outputs.y: .* is not the number of a table",
    ),
    "ports": (put(*GAIN, "ports", [1]), r"ports\[0\]: 1 is not a value of type str"),
    "reset": (put(*LIF, "reset", "hard"), r"nodes\[2\]\[1\]: .*Neuron\(reset='hard'\): give one of Leaky's"),
    "model name": (put("models", 0, "name", "x\n"), r"models\[0\]: .*cannot name a model"),
    "model is no object": (put("models", 0, []), r"models\[0\]: \[\] is not an object"),
    "model without fire": (put("models", 0, "fire", ...), r"models\[0\]: the field 'fire' is missing"),
    "inconsistent model": (
        put("models", 0, "params", []),
        r"(?s)models\[0\]: .*integrate uses 'beta'; declare it as",
    ),
    "expressions": (put("expressions", {}), r"expressions: \{\} is not a list"),
    "broken expression": (
        put("expressions", 0, ["neg", 0]),
        "expressions: expression line 0 is not readable: 0 does",
    ),
    "edges": (put("edges", [3]), r"edges\[0\]: 3 is not an object"),
    "edge end": (put("edges", 0, "src", None), r"edges\[0\].src: None is not a value of type str"),
    "edge delay": (put("edges", 0, "delay", 1.0), r"edges\[0\].delay: 1.0 is not a value of type int"),
    "edge start": (put("edges", 0, "init", None), r"edges\[0\].init: None is not a value of type float"),
    "edge without end": (put("edges", 0, "dst", ...), r"edges\[0\]: the field 'dst' is missing"),
    "time": (put("time", None), "time: None is not an object"),
    "dt": (put("time", "dt", "fast"), "time.dt: 'fast' is not a value of type float"),
    "static": (put("time", "static_inputs", "input"), "time.static_inputs: 'input' is not a list"),
    "trainable": (put("trainable", [None]), r"trainable\[0\]: None is not a value of type str"),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_messages(change: Change, message: str) -> None:
    data = to_json(network())
    change(data)
    with pytest.raises(LoadError, match=message) as caught:
        from_json(data)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("data", [None, [], "{}", 3])
def test_a_file_of_something_else(data: Json) -> None:
    with pytest.raises(LoadError, match=r"file: .* is not an object"):
        from_json(data)


@pytest.mark.parametrize(
    ("name", "least", "message"),
    [
        ("nodes", 5, "nodes: 5 is not at most 4"),
        ("edges", 5, "edges: 5 is not at most 4"),
        ("lines", len(to_json(network())["expressions"]), "expressions are a list of at most"),
    ],
)
def test_bounds(name: str, least: int, message: str) -> None:
    data = to_json(network())
    assert from_json(data, Limits(**{name: least})) == network()
    with pytest.raises(LoadError, match=message):
        from_json(data, Limits(**{name: least - 1}))
