"""Convolutions, pools and upsampling on the tape, along any number of axes.

A function takes the op with everything it sees: its input ``[B, C, *space]``, its parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from snnhw.ir import Upsample
from snnhw.reference.arrays import (
    Window,
    largest,
    like,
    matmul,
    overlay,
    pick,
    reshape,
    total,
    transpose,
    windows,
)
from snnhw.reference.elementwise import add, div, mul
from snnhw.reference.tape import Array, Var

__all__ = ["avg_pool", "convolve", "max_pool", "sum_pool", "transposed", "upsample"]

Env = Mapping[str, Var]


def convolve(op: Any, env: Env) -> Var:
    """One product per group: windows as rows, filters as columns."""
    rank, groups = op.rank, op.groups
    seen = windows(env["x"], Window(op.kernel, op.stride, op.padding, op.dilation))
    batch, places = seen.shape[0], seen.shape[2 : 2 + rank]
    inside, outside = op.in_channels // groups, op.out_channels // groups
    apart = reshape(seen, (batch, groups, inside, *places, *op.kernel))
    within = (2, *range(3 + rank, 3 + 2 * rank))  # channel and kernel, behind the places
    rows = transpose(apart, (0, 1, *range(3, 3 + rank), *within))
    length = inside * prod(op.kernel)
    columns = transpose(reshape(env["weight"], (groups, outside, length)), (0, 2, 1))
    y = matmul(reshape(rows, (batch, groups, prod(places), length)), columns)
    return _biased(op, reshape(transpose(y, (0, 1, 3, 2)), (batch, op.out_channels, *places)), env)


def transposed(op: Any, env: Env) -> Var:
    """One product per group: every place's channels times the filters, laid over each other."""
    x, rank, groups = env["x"], op.rank, op.groups
    batch, places = x.shape[0], x.shape[2:]
    inside, outside = op.in_channels // groups, op.out_channels // groups
    rows = transpose(reshape(x, (batch, groups, inside, prod(places))), (0, 1, 3, 2))
    filters = reshape(env["weight"], (groups, inside, outside * prod(op.kernel)))
    cells = reshape(
        transpose(matmul(rows, filters), (0, 1, 3, 2)), (batch, op.out_channels, *op.kernel, *places)
    )
    behind = transpose(cells, (0, 1, *range(2 + rank, 2 + 2 * rank), *range(2, 2 + rank)))
    sizes = op.infer({"x": x.shape[1:]})["y"][1:]
    return _biased(op, overlay(behind, Window(op.kernel, op.stride, op.padding, op.dilation), sizes), env)


def _biased(op: Any, y: Var, env: Env) -> Var:
    return add(y, reshape(env["bias"], (op.out_channels, *[1] * op.rank))) if op.bias else y


def max_pool(op: Any, env: Env) -> Var:
    """The largest of each window."""
    return largest(_seen(op, env, fill=-np.inf))


def sum_pool(op: Any, env: Env) -> Var:
    """The sum of each window."""
    return total(_seen(op, env), axis=-1)


def avg_pool(op: Any, env: Env) -> Var:
    """The mean of each window."""
    y = sum_pool(op, env)
    return div(y, like(y, prod(op.kernel)))


def _seen(op: Any, env: Env, fill: float = 0.0) -> Var:
    """``[B, C, *places, cells]``."""
    seen = windows(env["x"], Window(op.kernel, op.stride, op.padding, (1,) * op.rank), fill)
    return reshape(seen, (*seen.shape[: -op.rank], -1))


def upsample(op: Upsample, env: Env) -> Var:
    """Along one axis after the other: each place takes from the value before it and the one after."""
    x = env["x"]
    for axis, factor in enumerate(op.scale, start=2):
        places = np.arange(x.shape[axis] * factor)
        if op.mode == "nearest":
            x = pick(x, places // factor, axis)
            continue
        at = np.maximum((places + 0.5) / factor - 0.5, 0.0)
        before = at.astype(int)
        after = np.minimum(before + 1, x.shape[axis] - 1)
        share = _along(at - before, axis, len(x.shape))
        near, far = like(x, 1.0 - share), like(x, share)
        x = add(mul(near, pick(x, before, axis)), mul(far, pick(x, after, axis)))
    return x


def _along(values: Array, axis: int, rank: int) -> Array:
    return values.reshape([-1 if each == axis else 1 for each in range(rank)])
