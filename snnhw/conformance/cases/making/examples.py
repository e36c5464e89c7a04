"""At least one example of every op that computes something on its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from snnhw.conformance.cases.making.harness import Subject
from snnhw.ir import (
    Add,
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
    Reshape,
    RoundedLinear,
    Scale,
    Shape,
    Slice,
    Sum,
    SumPool1d,
    SumPool2d,
    Table,
    Unflatten,
    Upsample,
    WinnerTakeAll,
    clamp,
    greater,
    maximum,
    minimum,
    var,
    where,
)

__all__ = ["ELSEWHERE", "EXAMPLES", "INEXACT", "subjects"]

x, a, b = var("x"), var("a"), var("b")

ELSEWHERE: Final[Mapping[type[Op], str]] = {
    Input: "every program has one",
    Output: "likewise",
    Neuron: "made from the registry of models",
}
"""Ops that need no example here, and why."""

INEXACT: Final[set[type[Op]]] = {LayerNorm, BatchNorm1d, BatchNorm2d, RoundedLinear}
"""Ops with a root or the like in them, whose results have no finite number of digits; anyone may add some."""

Example = tuple[Op, *tuple[Shape, ...]]
"""An op, and the shape of what arrives at each of its ports."""

_EXAMPLES: Final[Mapping[type[Op], Mapping[str, Example]]] = {
    Linear: {
        "bias": (Linear(3, 4), (3,)),
        "no-bias": (Linear(3, 4, bias=False), (3,)),
        "leading-axes": (Linear(3, 2), (2, 3)),
    },
    RoundedLinear: {
        "mixed": (RoundedLinear(3, 4, low=-40, high=40, step=2), (3,)),
        "excitatory": (RoundedLinear(2, 3, low=0, high=255), (2,)),
    },
    Conv2d: {
        "plain": (Conv2d(2, 3, (2, 3)), (2, 4, 5)),
        "strided": (Conv2d(2, 2, (3, 2), stride=(2, 1), padding=(1, 0)), (2, 5, 4)),
        "dilated": (Conv2d(1, 2, (2, 2), dilation=(1, 2), bias=False), (1, 4, 5)),
        "groups": (Conv2d(4, 2, (2, 2), groups=2), (4, 3, 3)),
    },
    Conv1d: {
        "strided": (Conv1d(2, 3, (3,), stride=(2,), padding=(1,)), (2, 5)),
        "groups": (Conv1d(4, 2, (2,), dilation=(2,), groups=2, bias=False), (4, 5)),
    },
    Conv3d: {
        "plain": (Conv3d(2, 2, (2, 1, 2)), (2, 3, 2, 3)),
        "strided": (Conv3d(1, 2, (1, 2, 2), stride=(1, 2, 1), padding=(0, 1, 0)), (1, 2, 3, 3)),
        "groups": (Conv3d(2, 2, (1, 2, 1), dilation=(1, 1, 2), groups=2, bias=False), (2, 1, 3, 2)),
    },
    ConvTranspose1d: {
        "strided": (ConvTranspose1d(2, 3, (3,), stride=(2,), padding=(1,), output_padding=(1,)), (2, 3)),
        "groups": (ConvTranspose1d(4, 2, (2,), dilation=(2,), groups=2, bias=False), (4, 3)),
    },
    ConvTranspose2d: {
        "plain": (ConvTranspose2d(2, 3, (2, 3)), (2, 3, 2)),
        "strided": (
            ConvTranspose2d(1, 2, (3, 2), stride=(2, 3), padding=(1, 0), output_padding=(1, 2)),
            (1, 3, 2),
        ),
        "groups": (ConvTranspose2d(4, 2, (2, 2), dilation=(1, 2), groups=2, bias=False), (4, 2, 3)),
    },
    MaxPool1d: {"overlapping": (MaxPool1d((3,), (2,), padding=(1,)), (2, 6))},
    AvgPool1d: {"overlapping": (AvgPool1d((4,), (2,), padding=(1,)), (2, 6))},
    SumPool1d: {"overlapping": (SumPool1d((3,), (2,), padding=(1,)), (2, 6))},
    SumPool2d: {
        "plain": (SumPool2d((2, 2), (2, 2)), (2, 4, 5)),
        "overlapping": (SumPool2d((3, 2), (1, 2), padding=(1, 0)), (1, 4, 5)),
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
    Unflatten: {"inner": (Unflatten(1, (3, 2)), (2, 6, 2))},
    Reshape: {"inner": (Reshape((3, 4)), (2, 3, 2)), "one": (Reshape(()), (1,))},
    Gather: {
        "again": (Gather(0, (2, 0, 2, 3)), (4, 2)),
        "zeros": (Gather(1, (-1, 0, 2, -1, 1)), (2, 3)),
    },
    Sum: {"last": (Sum(), (2, 3)), "first": (Sum(0), (3, 2)), "all": (Sum(0), (3,))},
    Parameter: {
        "plain": (Parameter((2, 3)), (4,)),
        "weights": (Parameter((3,), None, fan_in=2), (2, 2)),
    },
    Slice: {
        "first": (Slice(0, 1, 3), (4, 2)),
        "last": (Slice(2, 0, 2), (2, 2, 3)),
    },
    Upsample: {
        "nearest": (Upsample((3, 2)), (2, 2, 3)),
        "line": (Upsample((2,), "linear"), (2, 3)),
        "linear": (Upsample((2, 4), "linear"), (2, 3, 2)),
        "volume": (Upsample((1, 2, 2), "linear"), (1, 2, 2, 3)),
    },
    Scale: {
        "one": (Scale(), (3,)),
        "channels": (Scale((2, 1)), (2, 3)),
    },
    LayerNorm: {
        "plain": (LayerNorm((4,)), (4,)),
        "axes": (LayerNorm((2, 3), eps=0.125, bias=False), (2, 2, 3)),
        "bare": (LayerNorm((3,), affine=False, bias=False), (2, 3)),
    },
    MatMul: {
        "matrix": (MatMul(), (2, 3), (3, 4)),
        "batched": (MatMul(), (2, 1, 3, 2), (1, 2, 2, 3)),
    },
    WinnerTakeAll: {
        "last": (WinnerTakeAll(), (5,)),
        "first": (WinnerTakeAll(0), (3, 2)),
    },
    BatchNorm1d: {
        "plain": (BatchNorm1d(4, eps=0.25), (4,)),
        "line": (BatchNorm1d(2, momentum=0.25, eps=0.5, bias=False), (2, 3)),
        "bare": (BatchNorm1d(2, weight=False), (2, 3)),
        "folded": (BatchNorm1d(4, stats="folded", eps=0.25), (4,)),
        "through-time": (BatchNorm1d(4, time_steps=9, eps=0.25, bias=False), (4,)),
    },
    BatchNorm2d: {
        "plain": (BatchNorm2d(2), (2, 2, 3)),
        "bare": (BatchNorm2d(2, eps=0.125, weight=False, bias=False), (2, 3, 1)),
        "folded": (BatchNorm2d(2, stats="folded", momentum=0.5), (2, 1, 3)),
        "through-time": (BatchNorm2d(2, time_steps=9), (2, 2, 1)),
    },
    Dropout: {
        "half": (Dropout(0.5), (5,)),
        "held": (Dropout(0.75, mask="held"), (2, 3)),
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
        "ports": (
            Pointwise(FrozenMap({"y": maximum(x, b) - a * b}), ("x", "b"), parameters=(Param("a", 0.5),)),
            (2, 3),
            (3,),  # ports broadcast from the right
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

EXAMPLES: Final = Table("snnhw.conformance.cases.making.examples.EXAMPLES", _EXAMPLES)
"""Op -> name -> an op of that kind, and the shapes of what arrives at it. Small numbers of different
size on every axis: an exchange of two axes shows, and a proof stays cheap. Windows of averages are
powers of two, so that the mean is exact. Where every channel is one element, a small eps would let the
gradient of its gain vanish: what is normalised forgets how large it was."""


def subjects(examples: Mapping[type[Op], Mapping[str, Example]] = EXAMPLES) -> list[Subject]:
    """All examples, as subjects of cases."""
    return [
        Subject(f"{kind.__name__}-{name}", op, dict(zip(op.in_ports, shapes, strict=True)))
        for kind, variants in examples.items()
        for name, (op, *shapes) in variants.items()
    ]
