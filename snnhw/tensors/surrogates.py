"""Surrogates called on tensors: ``snnhw.surrogate.atan()(z)``."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from snnhw.ir import Opaque, Surrogate, evaluate, free_variables, var
from snnhw.ir.surrogates import NOISE, apply_surrogate
from snnhw.tensors.autograd import Function, graft
from snnhw.tensors.custom import spikes_of
from snnhw.tensors.scans.recorded import recording
from snnhw.tensors.watched import tracing, watched

__all__: list[str] = []


class _Spike(Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, surrogate: Surrogate) -> Tensor:
        ctx.save_for_backward(z)
        ctx.surrogate = surrogate
        return (z > 0).to(z.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (z,) = ctx.saved_tensors
        return grad * _slope(z, ctx.surrogate), None


def _slope(z: Tensor, surrogate: Surrogate) -> Tensor:
    derivative = surrogate.derivative(var("z"))
    env = {"z": z, NOISE: torch.rand_like(z)} if NOISE in free_variables(derivative) else {"z": z}
    (slope,) = evaluate([derivative], env, recording(z.dtype, z.device))
    found: Tensor = slope.expand(z.shape)
    return found


@apply_surrogate.register
def _(z: Tensor, surrogate: Surrogate) -> Tensor:
    """Spikes in the dtype of z."""
    if isinstance(surrogate, Opaque):
        return spikes_of(surrogate, z)
    if not tracing() and torch._C._is_tracing():  # a trace holds no slopes
        return (z > 0).to(z.dtype)
    if watched([z]):
        return graft((z > 0).to(z.dtype), z, _slope(z, surrogate))
    result: Tensor = _Spike.apply(z, surrogate)
    return result
