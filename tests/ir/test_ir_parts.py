"""What an op says of its parts: nodes and edges of a program, and what it must not say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest

from snnhw.errors import ProgramError
from snnhw.ir import (
    MODELS,
    AvgPool1d,
    BatchNorm1d,
    Dropout,
    FrozenMap,
    Linear,
    Neuron,
    Op,
    ParamSpec,
    Parts,
    Reshape,
    Scale,
    Shape,
    chain,
    is_core,
    part,
)
from snnhw.ir.composites.parts import made_of, parts_of

Say = Callable[[], Parts | None]


@dataclass(frozen=True)
class Own(Op):
    """An op that is made of whatever a test says."""

    say: Say = lambda: None

    def params(self) -> Mapping[str, ParamSpec]:
        return {"weight": ParamSpec(())}

    def infer(self, shapes: Mapping[str, Shape]) -> Mapping[str, Shape]:
        return {"y": shapes["x"]}

    def parts(self, shapes: Mapping[str, Shape]) -> Parts | None:  # told by the test
        return self.say()


WRONG: dict[str, tuple[Say, str]] = {
    "a last part with a name": (
        lambda: {"end": part(Scale(), x="x")},
        r"the last part stands for the whole, and is named '', not 'end'",
    ),
    "other ports": (
        lambda: {"": part(Neuron(MODELS["Leaky"]), x="x")},
        r"the last part has the ports \('spk', 'mem'\), and the whole \('y',\)",
    ),
    "a state": (
        lambda: {"lif": part(Neuron(MODELS["Leaky"]), x="x"), "": part(Scale(), x="lif.spk")},
        r"'lif' is a Neuron, which remembers something; parts do not",
    ),
    "statistics": (
        lambda: {"": part(BatchNorm1d(3), x="x")},
        r"'' is a BatchNorm1d, which remembers something; parts do not",
    ),
    "chance": (
        lambda: {"": part(Dropout(0.5), x="x")},
        r"'' is a Dropout, which depends on the step or on chance; then the whole has to say so: clocked",
    ),
    "a port that is not there": (
        lambda: {"": part(Scale(), z="x")},
        r"'' is a Scale, which reads x, not z",
    ),
    "nothing read": (lambda: {"": part(Scale())}, r"'' is a Scale, which reads x, not nothing"),
    "a source that is not there": (
        lambda: {"a": part(Scale(), x="b.y"), "": part(Scale(), x="x")},
        r"'a' reads 'b\.y', which is no port of the whole or of an earlier part",
    ),
    "a port that nothing reads": (
        lambda: {"a": part(Scale(), x="a.y"), "": part(Scale(), x="a.y")},
        r"no part reads x",
    ),
    "a parameter that is not there": (
        lambda: {"": part(Linear(3, 3), x="x")},
        r"'' has a parameter 'bias', which the whole does not have",
    ),
    "a parameter of another shape": (
        lambda: {"": part(Scale((3,)), x="x")},
        r"'' has 'weight' in the shape \(3,\), and the whole in \(\)",
    ),
    "an odd name": (
        lambda: {"a.b": part(Scale(), x="x"), "": part(Scale(), x="a.b.y")},
        r"'a\.b' cannot name a part; use letters, digits and single underscores between them",
    ),
    "a shape that does not fit": (
        lambda: chain(Reshape((2, 2)), Scale()),
        r"'reshape1' \(Reshape\(\(2, 2\)\) does not fit a sample of shape \(3,\)\)",
    ),
    "another shape": (
        lambda: chain(Reshape((1, 3))),
        r"they give 'y' the shape \(1, 3\), and the whole \(3,\)",
    ),
}


@pytest.mark.parametrize(("say", "message"), WRONG.values(), ids=WRONG)
def test_parts_that_make_no_sense(say: Say, message: str) -> None:
    with pytest.raises(ProgramError, match=rf"Own\.parts\(\): {message}"):
        parts_of(Own(say), {"x": (3,)})


def test_an_op_may_say_that_it_is_a_core_op_after_all() -> None:
    assert parts_of(Own(), {"x": (3,)}) == {}
    assert made_of("own", Own(), {"x": (3,)}) is None
    assert made_of("fc", Linear(3, 3), {"x": (3,)}) is None
    assert (is_core(Linear), is_core(Own)) == (True, False)


def test_parts_stand_below_the_name_of_the_whole_and_the_last_one_in_its_place() -> None:
    found = made_of("enc.pool", AvgPool1d((2,), (2,)), {"x": (1, 4)})
    assert found is not None
    assert list(found.nodes) == ["enc.pool.gather1", "enc.pool.reshape2", "enc.pool.sum3", "enc.pool"]
    assert found.inputs == FrozenMap({"x": ("enc.pool.gather1.x",)})
    assert found.outputs == FrozenMap({"y": "enc.pool.y"})
    assert [(edge.src, edge.dst) for edge in found.edges] == [
        ("enc.pool.gather1.y", "enc.pool.reshape2.x"),
        ("enc.pool.reshape2.y", "enc.pool.sum3.x"),
        ("enc.pool.sum3.y", "enc.pool.x"),
    ]


def test_a_name_that_is_taken_gets_an_underscore() -> None:
    found = made_of("p", AvgPool1d((2,), (2,)), {"x": (1, 4)}, free=lambda name: name != "p.sum3")
    assert found is not None
    assert list(found.nodes)[2:] == ["p.sum3_", "p"]
