"""Ops that tell steps apart, or training from evaluation: a table from op to function over all steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from snnhw.ir import BatchNorm, BatchNorm1d, BatchNorm2d, Clock, Dropout, Op, Table
from snnhw.plugin import Ranks
from snnhw.tensors.network.joint import normalised_jointly
from snnhw.tensors.scans.provider import Draw, Provider

__all__ = ["TIMED", "Computed", "Span"]

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Span:
    """Some steps of one node.

    Attributes:
        node: its name, from which its random numbers follow.
        clock: the first step; steps: how many there are.
        training: whether they are steps of training.
        provider: who draws random numbers; device: where they are wanted.
        ranks: whose samples are normalised together; None: this process's.
    """

    node: str
    clock: Clock
    steps: int
    training: bool
    provider: Provider
    device: torch.device
    ranks: Ranks | None = None

    def uniform(self, name: str, shape: tuple[int, ...], *, held: bool = False) -> Tensor:
        """The random numbers of all steps ``[T, B, ...]`` in float32; one that is held: ``[1, B, ...]``."""
        clocks = [self.clock.later(step) for step in range(1 if held else self.steps)]
        return self.provider.uniform(Draw(clocks, self.node, name, shape, held), self.device)


class Computed(NamedTuple):
    """What an op gives: its output, and new values of its statistics by name."""

    y: Tensor
    statistics: Tensors


def _batch_norm(op: BatchNorm, x: Tensor, params: Tensors, span: Span) -> Computed:
    if op.time_steps is not None:
        x = x.expand(span.steps, *x.shape[1:])
        own = {name: param[span.clock.step :][: span.steps] for name, param in params.items()}
        return _by_step(op, x, params, own, span)
    if span.training and op.stats == "per_step":
        return _by_step(
            op, x, params, {name: param.expand(len(x), -1) for name, param in params.items()}, span
        )
    if span.training:
        x = x.expand(span.steps, *x.shape[1:])  # the unbiased variance counts every value
    rows = x.flatten(0, 1)
    y, found = _normalised(op, rows, params, span)
    return Computed(y.view(x.shape), _moved(op, params, found, 1))


def _by_step(op: BatchNorm, x: Tensor, params: Tensors, own: Tensors, span: Span) -> Computed:
    """Steps side by side, as if each had channels of its own; ``own`` parameters are ``[T, C]``."""
    columns = x.transpose(0, 1).flatten(1, 2)  # [B, T * C, ...]
    y, found = _normalised(op, columns, {name: param.reshape(-1) for name, param in own.items()}, span)
    y = y.reshape(len(y), len(x), -1, *y.shape[2:]).transpose(0, 1)
    found = {name: value.view(len(x), -1) for name, value in found.items()}
    if op.time_steps is None:
        return Computed(y, _moved(op, params, found, span.steps))
    after = {}
    for name, value in found.items():
        after[name] = params[name].clone()
        after[name][span.clock.step :][: span.steps] = _moved(op, own, {name: value}, 1)[name]
    return Computed(y, after)


def _normalised(op: BatchNorm, rows: Tensor, params: Tensors, span: Span) -> tuple[Tensor, dict[str, Tensor]]:
    """Rows ``[M, C, ...]``, and in training what was measured of each channel."""
    training = span.training
    if training and span.ranks:
        return normalised_jointly(op, rows, params, span.ranks)
    running = {name: params[name] for name in ("running_mean", "running_var")}
    if training:
        running = {name: torch.zeros_like(value) for name, value in running.items()}
    y = F.batch_norm(
        rows,
        **running,
        weight=params.get("weight"),
        bias=params.get("bias"),
        training=training,
        momentum=1.0,  # so that what was measured itself is left in ``running``
        eps=op.eps,
    )
    return y, running if training else {}


def _moved(op: BatchNorm, params: Tensors, found: Tensors, steps: int) -> dict[str, Tensor]:
    """Running statistics after some steps; one measurement ``[1, C]`` or ``[C]`` may stand for all of them.

    Moving by m towards one value after the other leaves a sum, in which the last one weighs m, the one
    before it m * (1 - m), and so on.
    """
    after = {}
    for name, measured in found.items():
        running = params[name].double()
        kept = 1.0 - op.momentum
        if measured.ndim == 2 and len(measured) == steps != 1:
            weights = op.momentum * kept ** torch.arange(steps - 1, -1, -1, device=running.device).double()
            moved = kept**steps * running + weights @ measured.double()
        else:
            same = measured.double().reshape(running.shape)
            moved = kept**steps * running + (1.0 - kept**steps) * same
        after[name] = moved.to(params[name].dtype)
    return after


def _dropout(op: Dropout, x: Tensor, params: Tensors, span: Span) -> Computed:  # noqa: ARG001  # it has none
    if not span.training:
        return Computed(x, {})
    kept = span.uniform("mask", tuple(x.shape[1:]), held=op.mask == "held") >= op.p
    return Computed(x * (kept.to(x.dtype) * op.scale), {})


_TIMED: Final[Mapping[type[Op], Callable[[Any, Tensor, Tensors, Span], Computed]]] = {
    BatchNorm1d: _batch_norm,
    BatchNorm2d: _batch_norm,
    Dropout: _dropout,
}

TIMED: Final = Table("snnhw.tensors.network.TIMED", _TIMED)
"""Op type -> ``(op, x [T, B, ...], parameters by name, span)``. An input that does not change over time is
``[1, B, ...]``, and so is the output then, unless it changes."""
