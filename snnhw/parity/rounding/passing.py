"""What stateless ops make of values and of bounds on them, by the reference's own rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any, Final

import numpy as np

from snnhw.ir import (
    Add,
    AvgPool1d,
    AvgPool2d,
    BatchNorm,
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
    Gather,
    LayerNorm,
    Linear,
    MatMul,
    MaxPool1d,
    MaxPool2d,
    Op,
    Parameter,
    Reshape,
    Scale,
    Slice,
    Sum,
    SumPool1d,
    SumPool2d,
    Table,
    Unflatten,
    Upsample,
    WinnerTakeAll,
)
from snnhw.ir.ops.base import PARTS
from snnhw.parity.arrays import Array
from snnhw.parity.rounding.bounded import Bounded, exactly, functions
from snnhw.reference import RULES
from snnhw.reference.elementwise import namespace
from snnhw.reference.ops import OpContext
from snnhw.reference.tape import constant

__all__ = ["OTHERS", "ROUNDINGS", "pass_on"]


def _products(op: Any) -> int:
    """Of a convolution, transposed or not: no result has more terms."""
    return int(op.in_channels // op.groups * prod(op.kernel)) + 1


_ROUNDINGS: Final[Mapping[type[Op], Callable[[Any], int]]] = {
    Linear: lambda op: op.in_features + 1,
    **dict.fromkeys((Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d), _products),
    **dict.fromkeys((AvgPool1d, AvgPool2d, SumPool1d, SumPool2d), lambda op: prod(op.kernel) + 1),
    **dict.fromkeys((MaxPool1d, MaxPool2d, Flatten, Unflatten, Add, Concat, Slice), lambda op: 0),
    **dict.fromkeys((Reshape, Gather, Parameter), lambda op: 0),
    Upsample: lambda op: 0 if op.mode == "nearest" else 4 * len(op.scale),
    Scale: lambda op: 1,
    Dropout: lambda op: 0,  # a run leaves nothing out
}

ROUNDINGS: Final = Table("snnhw.parity.rounding.passing.ROUNDINGS", _ROUNDINGS, otherwise=PARTS)
"""Op -> how many roundings one result may collect. Each of them is linear in its inputs, or takes a maximum
of them; an op that is neither has a rule in `OTHERS`."""

_FLOAT64: Final = namespace(np.float64)


def pass_on(op: Op, env: Mapping[str, Bounded], unit: float) -> dict[str, Bounded]:
    """The outputs of an op.

    Unless it has one of `OTHERS`, its rule is linear in its inputs up to an offset, or a maximum. So the
    rule on absolute values bounds the sum of absolute values of its terms, and what it makes of bounds is
    the rule less the offset.

    Args:
        env: the inputs, and the parameters; these every backend is given alike.
        unit: how far one operation may be off, relative to its result.
    """
    if type(op) in OTHERS:
        return {"y": OTHERS[type(op)](op, env, unit)}
    slack = ROUNDINGS[type(op)](op) * unit
    xs = {port: env[port] for port in op.in_ports}
    weights = {name: np.abs(part.value) for name, part in env.items() if name not in xs}
    errors = {
        port: np.broadcast_to(x.error, x.value.shape) + slack * np.abs(x.value) for port, x in xs.items()
    }
    value = _rule(op, {name: part.value for name, part in env.items()})
    offset = _rule(op, {**weights, **{port: np.zeros_like(x.value[:1]) for port, x in xs.items()}})
    reach = _rule(op, {**weights, **errors})
    return {port: Bounded(y, reach[port] - (1.0 - slack) * offset[port]) for port, y in value.items()}


def _rule(op: Op, env: Mapping[str, Array]) -> dict[str, Array]:
    seen = {name: constant(array) for name, array in env.items()}
    # dt is none of a stateless op's business
    return {port: y.value for port, y in RULES[type(op)](OpContext(op, seen, _FLOAT64, dt=1.0)).items()}


def _matmul(op: Op, env: Mapping[str, Bounded], unit: float) -> Bounded:  # noqa: ARG001  # as all
    a, b = env["a"], env["b"]
    sizes = [np.abs(part.value) for part in (a, b)]
    reach = [size + part.error for size, part in zip(sizes, (a, b), strict=True)]
    terms = a.value.shape[-1] + 1
    return Bounded(a.value @ b.value, (1.0 + terms * unit) * (reach[0] @ reach[1]) - sizes[0] @ sizes[1])


def _sum(op: Sum, env: Mapping[str, Bounded], unit: float) -> Bounded:
    """A rounding for every term: how many there are, the input says."""
    x, axis = env["x"], op.axis + 1 if op.axis >= 0 else -1
    slack = x.value.shape[axis] * unit
    error = np.broadcast_to(x.error, x.value.shape) * (1.0 + slack) + slack * np.abs(x.value)
    return Bounded(x.value.sum(axis), error.sum(axis))


def _winner(op: WinnerTakeAll, env: Mapping[str, Bounded], unit: float) -> Bounded:
    """Where more than one may be the largest, each of them may win."""
    del unit  # nothing is computed
    x, axis = env["x"], op.axis + 1 if op.axis >= 0 else -1
    error = np.broadcast_to(x.error, x.value.shape)
    sure = (x.value - error).max(axis, keepdims=True)
    able = x.value + error >= sure
    doubt = (able.sum(axis, keepdims=True) > 1) & (able & (error > 0)).any(axis, keepdims=True)
    return Bounded(_rule(op, {"x": x.value})["y"], (able & doubt).astype(float))


def _layer_norm(op: LayerNorm, env: Mapping[str, Bounded], unit: float) -> Bounded:
    """Its formula, operation by operation."""
    table, x, axes = functions(unit), env["x"], tuple(range(-len(op.shape), 0))
    count = table["const"](float(prod(op.shape)))

    def mean(part: Bounded) -> Bounded:
        slack = prod(op.shape) * unit * np.abs(part.value)
        error = (np.broadcast_to(part.error, part.value.shape) + slack).sum(axes, keepdims=True)
        found: Bounded = table["div"](Bounded(part.value.sum(axes, keepdims=True), error), count)
        return found

    centred = table["sub"](x, mean(x))
    spread = table["add"](mean(table["mul"](centred, centred)), table["const"](op.eps))
    y: Bounded = table["div"](centred, table["sqrt"](spread))
    y = table["mul"](y, env["weight"]) if op.affine else y
    return table["add"](y, env["bias"]) if op.bias else y


def _batch_norm(op: BatchNorm, env: Mapping[str, Bounded], unit: float) -> Bounded:
    """Its formula, operation by operation; a run normalises by the running statistics."""
    table, x = functions(unit), env["x"]
    spread = (-1, *[1] * (x.value.ndim - 2))
    own = {name: exactly(part.value.reshape(spread)) for name, part in env.items() if name != "x"}
    width = table["sqrt"](table["add"](own["running_var"], table["const"](op.eps)))
    y: Bounded = table["div"](table["sub"](x, own["running_mean"]), width)
    y = table["mul"](y, own["weight"]) if op.weight else y
    y = table["add"](y, own["bias"]) if op.bias else y
    # A backend may scale and shift at once: products larger than the result are rounded then.
    reach = np.abs(x.value) + np.abs(own["running_mean"].value)
    scale = np.abs(own["weight"].value) if op.weight else 1.0
    return Bounded(y.value, y.error + unit * reach / width.value * scale)


OTHERS: Final[Mapping[type[Op], Callable[[Any, Mapping[str, Bounded], float], Bounded]]] = {
    MatMul: _matmul,
    Sum: _sum,
    WinnerTakeAll: _winner,
    LayerNorm: _layer_norm,
    BatchNorm1d: _batch_norm,
    BatchNorm2d: _batch_norm,
}
"""Op -> its output on bounded numbers, where that does not follow from its rule."""
