"""What each kind of node computes at one step.

A rule takes the node with everything it sees, and gives its output ports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Generic, TypeVar, cast

import numpy as np

from snnhw.ir import (
    Add,
    AvgPool2d,
    Concat,
    Conv2d,
    Expr,
    Flatten,
    Input,
    Linear,
    MaxPool2d,
    Namespace,
    Neuron,
    Op,
    Output,
    Pointwise,
    const,
    evaluate,
    substitute,
)
from snnhw.reference.arrays import concatenate, largest, matmul, reshape, total, transpose, windows
from snnhw.reference.elementwise import add, div
from snnhw.reference.tape import Var

__all__ = ["RULES", "Here", "Rule", "margin"]

O_co = TypeVar("O_co", bound=Op, covariant=True)

Ports = dict[str, Var]


@dataclass(frozen=True)
class Here(Generic[O_co]):
    """A node at one step.

    Attributes:
        op: what it is.
        env: what it sees, by name: input ports and states ``[B, ...]``, parameters.
        functions: the operations, at the compute dtype.
        dt: length of a step in seconds.
    """

    op: O_co
    env: Mapping[str, Var]
    functions: Namespace
    dt: float


Rule = Callable[[Here[Any]], Ports]


def _pass_through(here: Here[Op]) -> Ports:
    """Whatever arrived: the edges have been added up before."""
    return {"y": here.env["x"]}


def _flatten(here: Here[Flatten]) -> Ports:
    x = here.env["x"]
    return {"y": reshape(x, (x.shape[0], *here.op.infer({"x": x.shape[1:]})["y"]))}


def _concat(here: Here[Concat]) -> Ports:
    return {"y": concatenate([here.env[port] for port in here.op.in_ports], here.op.axis + 1)}


def _linear(here: Here[Linear]) -> Ports:
    y = matmul(here.env["x"], transpose(here.env["weight"], (1, 0)))
    return {"y": add(y, here.env["bias"]) if here.op.bias else y}


def _conv2d(here: Here[Conv2d]) -> Ports:
    """One product per group: windows as rows, filters as columns."""
    op, env = here.op, here.env
    seen = windows(env["x"], op.kernel, stride=op.stride, padding=op.padding, dilation=op.dilation)
    batch, _, height, width, *kernel = seen.shape
    inside, outside = op.in_channels // op.groups, op.out_channels // op.groups
    length = inside * kernel[0] * kernel[1]
    apart = reshape(seen, (batch, op.groups, inside, height, width, *kernel))
    rows = reshape(transpose(apart, (0, 1, 3, 4, 2, 5, 6)), (batch, op.groups, height * width, length))
    columns = transpose(reshape(env["weight"], (op.groups, outside, length)), (0, 2, 1))
    y = reshape(transpose(matmul(rows, columns), (0, 1, 3, 2)), (batch, op.out_channels, height, width))
    return {"y": add(y, reshape(env["bias"], (op.out_channels, 1, 1))) if op.bias else y}


def _max_pool2d(here: Here[MaxPool2d]) -> Ports:
    op = here.op
    seen = windows(here.env["x"], op.kernel, stride=op.stride, padding=op.padding, fill=-np.inf)
    return {"y": largest(reshape(seen, (*seen.shape[:-2], -1)))}


def _avg_pool2d(here: Here[AvgPool2d]) -> Ports:
    op = here.op
    seen = windows(here.env["x"], op.kernel, stride=op.stride, padding=op.padding)
    size = here.functions["const"](op.kernel[0] * op.kernel[1])
    return {"y": div(total(reshape(seen, (*seen.shape[:-2], -1)), axis=-1), size)}


def _pointwise(here: Here[Neuron | Pointwise]) -> Ports:
    """The equations, as written; a neuron's next states are among its output ports."""
    names, roots = _equations(here.op, here.dt)
    return dict(zip(names, evaluate(roots, _aligned(here), here.functions), strict=True))


@lru_cache(maxsize=1024)
def _equations(op: Neuron | Pointwise, dt: float) -> tuple[list[str], list[Expr]]:
    """Names and values: the next states, then the output ports, where the states come again.

    The order is the one in which every backend takes them backwards; ``dt`` is a constant like any
    other in the equations.
    """
    step = op.step()
    names, roots = [*step.updates, *step.outputs], [*step.updates.values(), *step.outputs.values()]
    return names, substitute(roots, {"dt": const(dt)})


def margin(here: Here[Any]) -> Var | None:
    """What a neuron compares with 0 before it fires; None for a node that never does."""
    fire = here.op.step().fire if isinstance(here.op, Neuron) else None
    if fire is None:
        return None
    (z,) = evaluate(substitute([fire], {"dt": const(here.dt)}), _aligned(here), here.functions)
    return cast("Var", z)


def _aligned(here: Here[Neuron | Pointwise]) -> Mapping[str, Var]:
    """Ports of one rank: samples broadcast from the right, but the batch axis stays in front."""
    ports = {port: here.env[port] for port in here.op.in_ports}
    rank = max((len(x.shape) for x in ports.values()), default=0)
    lifted = {
        port: reshape(x, (x.shape[0], *[1] * (rank - len(x.shape)), *x.shape[1:]))
        for port, x in ports.items()
    }
    return {**here.env, **lifted}


RULES: Final[Mapping[type[Op], Rule]] = {
    Input: _pass_through,
    Output: _pass_through,
    Add: _pass_through,
    Flatten: _flatten,
    Concat: _concat,
    Linear: _linear,
    Conv2d: _conv2d,
    MaxPool2d: _max_pool2d,
    AvgPool2d: _avg_pool2d,
    Neuron: _pointwise,
    Pointwise: _pointwise,
}
"""Op type -> its rule. An op without one has no meaning yet."""
