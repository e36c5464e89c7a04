"""A neuron that fires several times in a step: in floats with a surrogate, and in integers."""

from __future__ import annotations

import numpy as np
import pytest

from snnhw.ir import (
    ATan,
    Edge,
    Fixed,
    FrozenMap,
    Input,
    Neuron,
    Output,
    Param,
    Program,
    evaluate,
    maximum,
    minimum,
    model,
    trainable,
    var,
    variables,
)
from snnhw.reference import execute, pullback
from snnhw.reference.elementwise import namespace
from snnhw.reference.tape import constant

v, x, threshold = variables("v x threshold")
COUNT = minimum(-((-v) // threshold) - 1.0, 3.0)
OFTEN = model(
    "Often",
    states="v",
    params=(Param("threshold", 1.0),),
    integrate={"v": v + x},
    fire=v - threshold * maximum(COUNT, 1.0),
    count=COUNT,
    membrane="v",
)
FORMATS = FrozenMap({"in.y": Fixed(8), "n.v": Fixed(16), "n.threshold": Fixed(8)})


def program(formats: FrozenMap[str, Fixed] | None = None) -> Program:
    op = Neuron(OFTEN, reset="subtract", timing="immediate", surrogate=ATan())
    nodes = FrozenMap({"in": Input((1,)), "n": op, "out": Output()})
    return Program(nodes, (Edge("in.y", "n.x"), Edge("n.spk", "out.x")), formats=formats or FrozenMap())


def test_it_fires_as_often_as_its_threshold_goes_into_it_and_keeps_the_rest() -> None:
    given = np.array([2.0, 0.5, 0.0, 9.0, -2.0]).reshape(5, 1, 1)
    found = execute(program(), {"n.threshold": np.array(1.0)}, {"in": given}, record=["n.v"])
    assert found.outputs["out"].ravel().tolist() == [1, 1, 0, 3, 3]  # strictly above, and at most three
    assert found.recordings["n.v"].ravel().tolist() == [1.0, 0.5, 0.5, 6.5, 1.5]


def test_in_integers_it_does_the_same() -> None:
    given = np.array([20, 5, 0, 90, -20]).reshape(5, 1, 1)
    found = execute(program(FORMATS), {"n.threshold": np.array(10)}, {"in": given}, record=["n.v"])
    assert found.outputs["out"].ravel().tolist() == [1, 1, 0, 3, 3]
    assert found.recordings["n.v"].ravel().tolist() == [10, 5, 5, 65, 15]


@pytest.mark.parametrize("at", [0.6, 1.3, 2.75])
def test_its_gradient_is_the_surrogates_at_the_last_threshold_crossed(at: float) -> None:
    given = {"in": np.full((1, 1, 1), at)}
    found = pullback(
        trainable(program()),
        {"n.threshold": np.array(1.0)},
        given,
        {"n.spk": np.ones((1, 1, 1))},
        wrt_inputs=True,
    )
    crossed = max(np.ceil(at) - 1, 1)
    (slope,) = evaluate([ATan().derivative(var("z"))], {"z": constant(np.array(at - crossed))}, namespace())
    np.testing.assert_allclose(found.inputs["in"].item(), slope.value)
