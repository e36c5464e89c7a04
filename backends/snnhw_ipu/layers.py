"""Kinds of op -> how they are written, one rule apiece. An op without one is not supported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Final, Generic, TypeVar

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
    Expr,
    Flatten,
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
    Parameter,
    Pointwise,
    Reshape,
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
    const,
    substitute,
)
from snnhw.ir.ops.base import PARTS
from snnhw_ipu.equations import lower_equations
from snnhw_ipu.recipe import STEP, Draft, Register

__all__ = ["LOWERINGS", "Layer", "NodeContext"]

O_co = TypeVar("O_co", bound=Op, covariant=True)

Ports = dict[str, Register]


@dataclass(frozen=True)
class NodeContext(Generic[O_co]):
    """A node that is being written.

    Attributes:
        env: what it sees, by name: what arrives at its ports, states, parameters.
        shapes: output port -> shape of one sample.
        noise: gives random numbers at this step, by name; held: the same ones at every step.
        first: gives the number of the first step, ``[B]``.
        dt: length of a step in seconds; batch: number of samples that the device sees at once; steps: how
            many steps what arrives stands for: 1, unless it waits for all of them.
        dtype: of signals.
        training: whether it is a step of training; derivatives: whether they matter.
    """

    op: O_co
    draft: Draft
    env: Mapping[str, Register]
    shapes: Mapping[str, Shape]
    noise: Callable[[str, bool], Register]
    first: Callable[[], Register]
    dt: float
    batch: int
    steps: int
    dtype: str
    training: bool
    derivatives: bool

    def call(self, function: str, *operands: Register, **options: Any) -> Register:
        """A function whose result has the node's shape."""
        return self.draft.emit(function, *operands, shape=self.shapes["y"], **options)

    def of_x(self, function: str, **options: Any) -> Ports:
        """A function of what arrives, and of weight and bias where there are any."""
        weights = [self.env[name] for name in ("weight", "bias") if name in self.env]
        return {"y": self.call(function, self.env["x"], *weights, **options)}

    def affine(self, y: Register, lead: Callable[[Register], Register]) -> Ports:
        """Times the weight, plus the bias, where there are any."""
        for name, function in (("weight", "mul"), ("bias", "add")):
            y = self.call(function, y, lead(self.env[name])) if name in self.env else y
        return {"y": y}


Layer = Callable[[NodeContext[Any]], Ports]
"""Gives the output ports; a neuron's next states under ``next STATE``, statistics under ``moved NAME``, and
under ``rows NAME`` the one row of a statistic that belongs to this step."""


def _pass_through(here: NodeContext[Op]) -> Ports:
    return {"y": here.env["x"]} if "x" in here.env else {}


# -- windows ----------------------------------------------------------------------------------------


def _conv(here: NodeContext[Any]) -> Ports:
    op = here.op
    return here.of_x("conv", stride=op.stride, padding=op.padding, dilation=op.dilation, groups=op.groups)


def _conv_transpose(here: NodeContext[Any]) -> Ports:
    names = ("stride", "padding", "output_padding", "dilation", "groups")
    return here.of_x("conv_transpose", **{name: getattr(here.op, name) for name in names})


def _pool(function: str) -> Layer:
    def layer(here: NodeContext[Any]) -> Ports:
        return here.of_x(function, kernel=here.op.kernel, stride=here.op.stride, padding=here.op.padding)

    return layer


def _max_pool(here: NodeContext[Any]) -> Ports:
    op = here.op
    if not here.derivatives:
        return _pool("max_pool_forward")(here)
    lowest = float(np.finfo(here.dtype).min)  # JSON has no infinity; nothing finite is less
    return here.of_x("max_pool", kernel=op.kernel, stride=op.stride, padding=op.padding, fill=lowest)


def _gather(here: NodeContext[Gather]) -> Ports:
    """Where a place is -1, zeros stand in front of the others."""
    x, draft, axis = here.env["x"], here.draft, here.op.axis
    index = np.array(here.op.index, np.int32)
    if -1 in here.op.index:
        zeros = draft.emit("full", x, shape=(*x.shape[:axis], 1, *x.shape[axis + 1 :]), value=0.0)
        wider = (*x.shape[:axis], x.shape[axis] + 1, *x.shape[axis + 1 :])
        x, index = draft.emit("concat", zeros, x, shape=wider, axis=axis), index + 1
    places = draft.constant(f"#places:{','.join(map(str, index))}", index)
    return {"y": here.call("pick", x, places, axis=axis)}


def _sum(here: NodeContext[Sum]) -> Ports:
    x = here.env["x"]
    return {"y": here.call("sum", x, axes=[here.op.axis % len(x.shape) + 1])}


def _upsample(here: NodeContext[Upsample]) -> Ports:
    """Along one axis after the other: each place takes from the value before it and the one after."""
    x, draft = here.env["x"], here.draft
    shape = list(x.shape)
    for axis, factor in enumerate(here.op.scale, start=1):
        size, places = shape[axis], np.arange(shape[axis] * factor)
        shape[axis] *= factor

        def pick(index: Any, axis: int = axis, x: Register = x, shape: Shape = tuple(shape)) -> Register:
            name = f"#places:{','.join(map(str, index))}"
            return draft.emit("pick", x, draft.constant(name, index.astype(np.int32)), shape=shape, axis=axis)

        if here.op.mode == "nearest":
            x = pick(places // factor)
            continue
        at = np.maximum((places + 0.5) / factor - 0.5, 0.0)
        before = at.astype(int)
        share = (at - before).reshape([-1 if each == axis else 1 for each in range(len(shape))])
        parts = []
        for weight, index in ((1.0 - share, before), (share, np.minimum(before + 1, size - 1))):
            name = f"#shares:{weight.shape}:{','.join(map(str, weight.ravel()))}"
            held = draft.constant(name, weight.astype(here.dtype))
            parts.append(draft.emit("mul", held, pick(index), shape=tuple(shape)))
        x = draft.emit("add", *parts, shape=tuple(shape))
    return {"y": x}


# -- norms, chance ----------------------------------------------------------------------------------


def _layer_norm(here: NodeContext[LayerNorm]) -> Ports:
    """Each row less its mean, over its deviation."""
    draft, x, count = here.draft, here.env["x"], len(here.op.shape)
    rows = draft.emit("reshape", x, shape=(*x.shape[:-count], prod(here.op.shape)))
    narrow = (*rows.shape[:-1], 1)

    def mean(register: Register) -> Register:
        return draft.emit("row_mean", register, shape=narrow)

    centred = draft.emit("sub", rows, mean(rows), shape=rows.shape)
    variance = mean(draft.emit("mul", centred, centred, shape=rows.shape))
    raised = draft.emit("add", variance, draft.const(here.op.eps), shape=narrow)
    y = draft.emit("div", centred, draft.emit("sqrt", raised, shape=narrow), shape=rows.shape)
    return here.affine(draft.emit("reshape", y, shape=x.shape), lambda param: param)


def _batch_norm(here: NodeContext[BatchNorm]) -> Ports:
    op, draft, x = here.op, here.draft, here.env["x"]
    channels = (op.features,)
    column = (op.features, *[1] * (len(x.shape) - 1))

    def small(function: str, *operands: Register, **options: Any) -> Register:
        return draft.emit(function, *operands, shape=channels, batched=False, **options)

    def own(name: str) -> Register:
        """A parameter, or of parameters that every step has of its own, this one's."""
        whole = here.env[name]
        return whole if op.time_steps is None else small("row", whole, here.first(), index=STEP)

    def spread(vector: Register) -> Register:
        return draft.emit("view", vector, shape=column, batched=False)

    vectors = {name: own(name) for name in here.env if name != "x"}
    mean, variance, moved = vectors["running_mean"], vectors["running_var"], {}
    if here.training:
        running = {"running_mean": mean, "running_var": variance}
        mean = small("channel_mean", x)
        away = here.call("sub", x, spread(mean))
        variance = small("channel_mean", here.call("mul", away, away))
        count = here.batch * here.steps * prod(x.shape[1:])
        unbiased = small("mul", variance, draft.const(count / (count - 1)))
        kind = "moved" if op.time_steps is None else "rows"
        for name, measured in (("running_mean", mean), ("running_var", unbiased)):
            kept = small("mul", running[name], draft.const(1.0 - op.momentum))
            news = small("mul", small("detach", measured), draft.const(op.momentum))
            moved[f"{kind} {name}"] = small("add", kept, news)
    width = small("sqrt", small("add", variance, draft.const(op.eps)))
    y = here.call("div", here.call("sub", x, spread(mean)), spread(width))
    for name, function in (("weight", "mul"), ("bias", "add")):
        y = here.call(function, y, spread(vectors[name])) if name in vectors else y
    return {"y": y, **moved}


def _dropout(here: NodeContext[Dropout]) -> Ports:
    if not here.training:
        return {"y": here.env["x"]}
    return {"y": here.call("mul", here.env["x"], here.noise("mask", here.op.mask == "held"))}


# -- equations --------------------------------------------------------------------------------------


def _pointwise(here: NodeContext[Neuron | Pointwise]) -> Ports:
    step = here.op.equations()
    named: dict[str, Expr] = {f"next {state}": expr for state, expr in step.updates.items()}
    named |= step.outputs
    roots = substitute(list(named.values()), {"dt": const(here.dt)})
    noise = step.noise if here.derivatives else step.drawn
    env = {**here.env, **_aligned(here), **{name: here.noise(name, False) for name in noise}}
    values = lower_equations(here.draft, roots, env, train=here.derivatives)
    shape = next(iter(here.shapes.values()))
    return {name: here.draft.spread(value, shape) for name, value in zip(named, values, strict=True)}


def _aligned(here: NodeContext[Neuron | Pointwise]) -> Ports:
    """Ports of one rank: samples broadcast from the right, but the batch axis stays in front."""
    ports = {port: here.env[port] for port in here.op.in_ports}
    rank = max((len(x.shape) for x in ports.values()), default=0)
    lifted = {port: (1,) * (rank - len(x.shape)) + x.shape for port, x in ports.items()}
    return {
        port: x if x.shape == lifted[port] else here.draft.emit("reshape", x, shape=lifted[port])
        for port, x in ports.items()
    }


_LOWERINGS: Final[Mapping[type[Op], Layer]] = {
    **dict.fromkeys((Input, Output, Add), _pass_through),
    **dict.fromkeys((Flatten, Unflatten, Reshape), lambda here: here.of_x("reshape")),
    Gather: _gather,
    Sum: _sum,
    Parameter: lambda here: {"y": here.draft.spread(here.env["value"], here.op.shape)},
    Slice: lambda here: here.of_x("slice", axis=here.op.axis, start=here.op.start, stop=here.op.stop),
    Concat: lambda here: {
        "y": here.call("concat", *(here.env[port] for port in here.op.in_ports), axis=here.op.axis)
    },
    Scale: lambda here: {"y": here.call("mul", here.env["weight"], here.env["x"])},
    MatMul: lambda here: {"y": here.call("matmul", here.env["a"], here.env["b"])},
    WinnerTakeAll: lambda here: here.of_x("winner", axis=here.op.axis),
    LayerNorm: _layer_norm,
    Linear: lambda here: here.of_x("linear"),
    **dict.fromkeys((Conv1d, Conv2d, Conv3d), _conv),
    **dict.fromkeys((ConvTranspose1d, ConvTranspose2d), _conv_transpose),
    **dict.fromkeys((MaxPool1d, MaxPool2d), _max_pool),
    **dict.fromkeys((AvgPool1d, AvgPool2d), _pool("avg_pool")),
    **dict.fromkeys((SumPool1d, SumPool2d), _pool("sum_pool")),
    Upsample: _upsample,
    **dict.fromkeys((BatchNorm1d, BatchNorm2d), _batch_norm),
    Dropout: _dropout,
    **dict.fromkeys((Neuron, Pointwise), _pointwise),
}

LOWERINGS: Final = Table("snnhw_ipu.layers.LOWERINGS", _LOWERINGS, otherwise=PARTS)
"""Op type -> its rule."""
