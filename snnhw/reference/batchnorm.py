"""Batch normalisation on the tape: of one step by its own statistics, those of all steps, or running ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from snnhw.ir import BatchNorm, Namespace
from snnhw.reference.arrays import item, reshape, stack, total, transpose
from snnhw.reference.elementwise import add, div, mul, sub
from snnhw.reference.tape import Array, Var, constant

__all__ = ["Moments", "measure", "moved", "normalise", "own"]


@dataclass(frozen=True)
class Moments:
    """What was measured of each channel, ``[C]``, over ``count`` values."""

    mean: Var
    variance: Var
    count: int


def measure(steps: Sequence[Var], functions: Namespace) -> Moments:
    """Mean and variance over some steps ``[B, C, ...]``."""
    x = stack(steps)
    rows = transpose(x, (0, 1, *range(3, len(x.shape)), 2))
    rows = reshape(rows, (-1, x.shape[2]))
    size = functions["const"](rows.shape[0])
    mean = div(total(rows, axis=0), size)
    away = sub(rows, mean)
    return Moments(mean, div(total(mul(away, away), axis=0), size), rows.shape[0])


def normalise(op: BatchNorm, env: Mapping[str, Var], mean: Var, variance: Var, functions: Namespace) -> Var:
    """``(x - mean) / sqrt(variance + eps) * weight + bias``; vectors are ``[C]``."""
    x = env["x"]

    def spread(vector: Var) -> Var:
        return reshape(vector, (-1, *[1] * (len(x.shape) - 2)))

    width = functions["sqrt"](add(variance, functions["const"](op.eps)))
    y = div(sub(x, spread(mean)), spread(width))
    y = mul(y, spread(env["weight"])) if op.weight else y
    return add(y, spread(env["bias"])) if op.bias else y


def own(op: BatchNorm, env: Mapping[str, Var], step: int) -> Mapping[str, Var]:
    """What it sees at one step: of parameters that every step has of its own, those of this one."""
    if op.time_steps is None:
        return env
    return {name: value if name == "x" else item(value, step) for name, value in env.items()}


def moved(op: BatchNorm, env: Mapping[str, Var], found: Moments, step: int) -> dict[str, Var]:
    """The running statistics after a measurement. No gradient flows through them."""
    unbiased = found.variance.value * (found.count / (found.count - 1))
    measured = {"running_mean": found.mean.value, "running_var": unbiased}
    return {name: _moved(op, env[name].value, value, step) for name, value in measured.items()}


def _moved(op: BatchNorm, running: Array, measured: Array, step: int) -> Var:
    after = running.copy()
    place = ... if op.time_steps is None else step
    after[place] = (1.0 - op.momentum) * running[place] + op.momentum * measured
    return constant(after)
