"""At least one example of every op that computes something on its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from snnhw.conformance.cases.harness import Subject
from snnhw.ir import (
    Add,
    AvgPool2d,
    Concat,
    Conv2d,
    Flatten,
    FrozenMap,
    Input,
    Linear,
    MaxPool2d,
    Neuron,
    Op,
    Output,
    Param,
    Pointwise,
    Shape,
    clamp,
    greater,
    maximum,
    minimum,
    var,
    where,
)

__all__ = ["ELSEWHERE", "EXAMPLES", "subjects"]

x, a = var("x"), var("a")

ELSEWHERE: Final[Mapping[type[Op], str]] = {
    Input: "every program has one",
    Output: "likewise",
    Neuron: "made from the registry of models",
}
"""Ops that need no example here, and why."""

Example = tuple[Op, *tuple[Shape, ...]]
"""An op, and the shape of what arrives at each of its ports."""

EXAMPLES: Final[Mapping[type[Op], Mapping[str, Example]]] = {
    Linear: {
        "bias": (Linear(3, 4), (3,)),
        "no-bias": (Linear(3, 4, bias=False), (3,)),
        "leading-axes": (Linear(3, 2), (2, 3)),
    },
    Conv2d: {
        "plain": (Conv2d(2, 3, (2, 3)), (2, 4, 5)),
        "strided": (Conv2d(2, 2, (3, 2), stride=(2, 1), padding=(1, 0)), (2, 5, 4)),
        "dilated": (Conv2d(1, 2, (2, 2), dilation=(1, 2), bias=False), (1, 4, 5)),
        "groups": (Conv2d(4, 2, (2, 2), groups=2), (4, 3, 3)),
    },
    MaxPool2d: {
        "plain": (MaxPool2d((2, 2), (2, 2)), (2, 4, 5)),
        "overlapping": (MaxPool2d((3, 2), (1, 2), padding=(1, 0)), (1, 4, 5)),
    },
    AvgPool2d: {
        "plain": (AvgPool2d((2, 2), (2, 2)), (2, 4, 5)),
        "overlapping": (AvgPool2d((2, 4), (1, 2), padding=(1, 1)), (1, 4, 5)),
    },
    Flatten: {
        "all": (Flatten(), (2, 3, 2)),
        "inner": (Flatten(1, 2), (2, 2, 3)),
    },
    Add: {"one": (Add(), (3,))},
    Concat: {
        "channels": (Concat(0, (2, 1)), (2, 3, 2), (1, 3, 2)),
        "last": (Concat(1, (1, 3, 2)), (2, 1), (2, 3), (2, 2)),
    },
    Pointwise: {
        "corners": (
            Pointwise(
                FrozenMap({"low": minimum(x, a), "high": maximum(x * a, 0.0), "size": abs(x)}),
                parameters=(Param("a", 0.5),),
            ),
            (4,),
        ),
        "choice": (
            Pointwise(
                FrozenMap({"y": where(greater(x, a), x * x, -x) / 2.0 + clamp(x, 0.0, 1.0)}),
                parameters=(Param("a", 0.5),),
                param_shapes=FrozenMap({"a": (3, 1)}),
            ),
            (3, 2),
        ),
    },
}
"""Op -> name -> an op of that kind, and the shapes of what arrives at it. Small numbers of different
size on every axis: an exchange of two axes shows, and a proof stays cheap. Windows of averages are
powers of two, so that the mean is exact."""


def subjects(examples: Mapping[type[Op], Mapping[str, Example]] = EXAMPLES) -> list[Subject]:
    """All examples, as subjects of cases."""
    return [
        Subject(f"{kind.__name__}-{name}", op, dict(zip(op.in_ports, shapes, strict=True)))
        for kind, variants in examples.items()
        for name, (op, *shapes) in variants.items()
    ]
