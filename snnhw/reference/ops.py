"""What each kind of node computes at one step.

A rule takes the node with everything it sees, and gives its output ports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import prod
from typing import Any, Final, Generic, TypeVar, cast

import numpy as np

from snnhw.ir import (
    Add,
    AvgPool1d,
    AvgPool2d,
    BatchNorm,
    BatchNorm1d,
    BatchNorm2d,
    Clock,
    Concat,
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    Dropout,
    Expr,
    Flatten,
    Gather,
    Input,
    LayerNorm,
    Linear,
    MatMul,
    MaxPool1d,
    MaxPool2d,
    Namespace,
    Neuron,
    Op,
    Output,
    Parameter,
    Pointwise,
    Reshape,
    RoundedLinear,
    SaturatingLinear,
    Scale,
    Slice,
    Sum,
    SumPool1d,
    SumPool2d,
    Table,
    Unflatten,
    Upsample,
    WinnerTakeAll,
    const,
    evaluate,
    substitute,
    uniform,
)
from snnhw.ir.composites.parts import parts_of
from snnhw.ir.ops.base import PARTS, is_core
from snnhw.reference.arrays import (
    broadcast,
    concatenate,
    like,
    matmul,
    pick,
    reshape,
    total,
    transpose,
    winner,
)
from snnhw.reference.batchnorm import Moments, measure, moved, normalise, own
from snnhw.reference.elementwise import add, div, mul, sqrt, sub
from snnhw.reference.spatial import avg_pool, convolve, max_pool, sum_pool, transposed, upsample
from snnhw.reference.tape import Array, Var, constant, result

__all__ = ["RULES", "OpContext", "Rule", "by_parts", "margin", "rule_of"]

O_co = TypeVar("O_co", bound=Op, covariant=True)

Ports = dict[str, Var]


@dataclass(frozen=True)
class OpContext(Generic[O_co]):
    """A node at one step.

    Attributes:
        op: what it is.
        env: what it sees, by name: input ports and states ``[B, ...]``, parameters.
        functions: the operations, at the compute dtype.
        dt: length of a step in seconds.
        node: its name, from which its random numbers follow.
        clock: which step it is.
        training: whether the run is one of training.
        measured: statistics of all steps, where the op is one that normalises by them.
    """

    op: O_co
    env: Mapping[str, Var]
    functions: Namespace
    dt: float
    node: str = ""
    clock: Clock = field(default_factory=Clock)
    training: bool = False
    measured: Moments | None = None

    def uniform(self, name: str, shape: tuple[int, ...], *, held: bool = False) -> Array:
        """The random numbers that belong here."""
        return uniform(self.clock, self.node, name, shape, held=held)


Rule = Callable[[OpContext[Any]], Ports]
"""Gives the output ports; in training also the new values of statistics, under their names."""


def _pass_through(here: OpContext[Op]) -> Ports:
    """Whatever arrived: the edges have been added up before."""
    return {"y": here.env["x"]}


def _linear(here: OpContext[Linear]) -> Ports:
    y = matmul(here.env["x"], transpose(here.env["weight"], (1, 0)))
    return {"y": add(y, here.env["bias"]) if here.op.bias else y}


def _rounded(here: OpContext[RoundedLinear]) -> Ports:
    """The weight's gradient goes straight through, where it is within the grid."""
    op, weight, scale = here.op, here.env["weight"], here.env["scale"].value
    whole = op.step * np.floor(weight.value * scale / op.step + 0.5)
    within = (weight.value * scale >= op.low) & (weight.value * scale <= op.high)
    on_grid = np.clip(whole, op.low, op.high) / scale
    return {"y": matmul(here.env["x"], transpose(result(on_grid, (weight, lambda g: g * within)), (1, 0)))}


def _saturating(op: SaturatingLinear, env: Mapping[str, Var]) -> Var:
    """One input after the other, as many times as it spikes: the order in which the state saturates."""
    x, y, weight = env["x"].value, env["start"].value, env["weight"].value
    low, high = -(1 << (op.bits - 1)), (1 << (op.bits - 1)) - 1
    for source in range(op.in_features):
        y = np.clip(y + x[:, source, None] * weight[None, :, source], low, high)
    return constant(y)


def _reshaped(op: Flatten | Reshape | Unflatten, env: Mapping[str, Var]) -> Var:
    x = env["x"]
    return reshape(x, (x.shape[0], *op.infer({"x": x.shape[1:]})["y"]))


def _concat(op: Concat, env: Mapping[str, Var]) -> Var:
    return concatenate([env[port] for port in op.in_ports], op.axis + 1)


def _slice(op: Slice, env: Mapping[str, Var]) -> Var:
    return pick(env["x"], range(op.start, op.stop), op.axis + 1)


def _gather(op: Gather, env: Mapping[str, Var]) -> Var:
    """Zeros stand in front, so that the place -1 is there, too."""
    x, axis = env["x"], op.axis + 1
    zeros = like(x, np.zeros((*x.shape[:axis], 1, *x.shape[axis + 1 :])))
    return pick(concatenate([zeros, x], axis), [place + 1 for place in op.index], axis)


def _sum(op: Sum, env: Mapping[str, Var]) -> Var:
    return total(env["x"], axis=op.axis + 1 if op.axis >= 0 else -1)


def _parameter(op: Parameter, env: Mapping[str, Var]) -> Var:
    return broadcast(env["value"], (env["x"].shape[0], *op.shape))


def _winner(op: WinnerTakeAll, env: Mapping[str, Var]) -> Var:
    return winner(env["x"], op.axis + 1 if op.axis >= 0 else -1)


def _layer_norm(op: LayerNorm, env: Mapping[str, Var]) -> Var:
    """Each row less its mean, over its deviation."""
    x = env["x"]
    lead, count = x.shape[: -len(op.shape)], prod(op.shape)
    rows = reshape(x, (*lead, count))
    centred = sub(rows, _mean(rows))
    deviation = sqrt(add(_mean(mul(centred, centred)), like(x, op.eps)))
    y = reshape(div(centred, deviation), x.shape)
    y = mul(y, env["weight"]) if op.affine else y
    return add(y, env["bias"]) if op.bias else y


def _mean(rows: Var) -> Var:
    """``[..., N]`` gives ``[..., 1]``."""
    return reshape(div(total(rows, axis=-1), like(rows, rows.shape[-1])), (*rows.shape[:-1], 1))


def _gives(function: Callable[[Any, Mapping[str, Var]], Var]) -> Rule:
    """The rule of an op with one output."""
    return lambda here: {"y": function(here.op, here.env)}


def _batch_norm(here: OpContext[BatchNorm]) -> Ports:
    op, step, functions = here.op, here.clock.step, here.functions
    env = own(op, here.env, step)
    if not here.training:
        return {"y": normalise(op, env, env["running_mean"], env["running_var"], functions)}
    found = here.measured or measure([env["x"]], functions)
    y = normalise(op, env, found.mean, found.variance, functions)
    return {"y": y} if op.stats == "folded" else {"y": y, **moved(op, here.env, found, step)}


def _dropout(here: OpContext[Dropout]) -> Ports:
    op, x = here.op, here.env["x"]
    if not here.training:
        return {"y": x}
    u = here.uniform("mask", x.shape, held=op.mask == "held")
    return {"y": mul(x, here.functions["const"](op.factors(u)))}


def _pointwise(here: OpContext[Neuron | Pointwise]) -> Ports:
    """The equations, as written; a neuron's next states are among its output ports."""
    names, roots = _equations(here.op, here.dt)
    return dict(zip(names, evaluate(roots, _aligned(here), here.functions), strict=True))


@lru_cache(maxsize=1024)
def _equations(op: Neuron | Pointwise, dt: float) -> tuple[list[str], list[Expr]]:
    """Names and values: the next states, then the output ports, where the states come again.

    The order is the one in which every backend takes them backwards; ``dt`` is a constant like any
    other in the equations.
    """
    step = op.equations()
    names, roots = [*step.updates, *step.outputs], [*step.updates.values(), *step.outputs.values()]
    return names, substitute(roots, {"dt": const(dt)})


def margin(here: OpContext[Any]) -> Var | None:
    """What a neuron compares with 0 before it fires; None for a node that never does."""
    fire = here.op.equations().fire if isinstance(here.op, Neuron) else None
    if fire is None:
        return None
    (z,) = evaluate(substitute([fire], {"dt": const(here.dt)}), _aligned(here), here.functions)
    return cast("Var", z)


def _aligned(here: OpContext[Neuron | Pointwise]) -> Mapping[str, Var]:
    """Ports of one rank: samples broadcast from the right, but the batch axis stays in front."""
    ports = {port: here.env[port] for port in here.op.in_ports}
    rank = max((len(x.shape) for x in ports.values()), default=0)
    lifted = {
        port: reshape(x, (x.shape[0], *[1] * (rank - len(x.shape)), *x.shape[1:]))
        for port, x in ports.items()
    }
    drawn = here.op.equations().noise
    shapes = {port: x.shape[1:] for port, x in ports.items()}
    sample = here.op.infer(shapes)[here.op.out_ports[0]] if drawn else ()
    batch = next(iter(ports.values())).shape[0]
    noise = {name: here.functions["const"](here.uniform(name, (batch, *sample))) for name in drawn}
    return {**here.env, **lifted, **noise}


_RULES: Final[Mapping[type[Op], Rule]] = {
    Input: _pass_through,
    Output: _pass_through,
    Add: _pass_through,
    Flatten: _gives(_reshaped),
    Unflatten: _gives(_reshaped),
    Reshape: _gives(_reshaped),
    Gather: _gives(_gather),
    Sum: _gives(_sum),
    Parameter: _gives(_parameter),
    Concat: _gives(_concat),
    Slice: _gives(_slice),
    Scale: _gives(lambda op, env: mul(env["weight"], env["x"])),
    MatMul: _gives(lambda op, env: matmul(env["a"], env["b"])),
    WinnerTakeAll: _gives(_winner),
    LayerNorm: _gives(_layer_norm),
    Linear: _linear,
    RoundedLinear: _rounded,
    SaturatingLinear: _gives(_saturating),
    **dict.fromkeys((Conv1d, Conv2d, Conv3d), _gives(convolve)),
    **dict.fromkeys((ConvTranspose1d, ConvTranspose2d), _gives(transposed)),
    **dict.fromkeys((MaxPool1d, MaxPool2d), _gives(max_pool)),
    **dict.fromkeys((AvgPool1d, AvgPool2d), _gives(avg_pool)),
    **dict.fromkeys((SumPool1d, SumPool2d), _gives(sum_pool)),
    Upsample: _gives(upsample),
    BatchNorm1d: _batch_norm,
    BatchNorm2d: _batch_norm,
    Dropout: _dropout,
    Neuron: _pointwise,
    Pointwise: _pointwise,
}

RULES: Final = Table("snnhw.reference.RULES", _RULES, otherwise=PARTS)
"""Op type -> its rule. An op without one has the meaning of its parts, or none yet."""


def rule_of(op: Op) -> Rule:
    """The rule of an op; where it has none, that of its parts.

    Raises:
        ProgramError: it has neither.
    """
    return by_parts if type(op) not in RULES and not is_core(type(op)) else RULES[type(op)]


def by_parts(here: OpContext[Op]) -> Ports:
    """An op as what it is made of, one part after the other."""
    values = {port: here.env[port] for port in here.op.in_ports}
    parts = parts_of(here.op, {port: x.shape[1:] for port, x in values.items()})
    found: Ports = {} if parts else RULES[type(here.op)](here)  # which is missing, and says so
    for name, part in parts.items():
        params = {param: here.env[part.op.keys.get(param, param)] for param in part.op.params()}
        seen = {port: values[source] for port, source in part.reads.items()}
        node = f"{here.node}.{name}" if name else here.node
        found = rule_of(part.op)(replace(here, op=part.op, env=params | seen, node=node))
        values |= {f"{name}.{port}": x for port, x in found.items()}
    return found
