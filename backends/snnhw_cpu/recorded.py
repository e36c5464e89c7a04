"""Products with adjoints of their own, in autograd's graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from snnhw.tensors.autograd import Function
from snnhw.tensors.network import OPERATIONS, Operation, packed

__all__ = ["recorded"]


def recorded(use: Operation, op: Any, x: Tensor, params: Mapping[str, Tensor]) -> Tensor:
    """What a product gives that packs its input, or does not; its derivatives are torch's."""
    found: Tensor = _Product.apply((use, op, tuple(params)), x, *params.values())
    return found


class _Product(Function):
    @staticmethod
    def forward(ctx: Any, what: tuple[Any, Any, tuple[str, ...]], *tensors: Tensor) -> Tensor:
        ctx.use, ctx.op, ctx.names = use, op, names = what
        ctx.save_for_backward(*tensors)
        x, *params = tensors
        ctx.read = packed(use, op, x)
        if ctx.read is x:
            ctx.read = None
        y: Tensor = use(op, {"x": x if ctx.read is None else ctx.read}, dict(zip(names, params, strict=True)))
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        x, *values = ctx.saved_tensors
        params, needs = dict(zip(ctx.names, values, strict=True)), ctx.needs_input_grad[1:]
        names = ("x", *ctx.names)
        wanted = [name for name, need in zip(names, needs, strict=True) if need]
        if torch.is_grad_enabled():  # for who differentiates what this gives
            y = OPERATIONS[type(ctx.op)](ctx.op, {"x": x}, params)
            tensors = {"x": x, **params}
            grads = torch.autograd.grad(y, [tensors[name] for name in wanted], grad, create_graph=True)
            found = dict(zip(wanted, grads, strict=True))
        else:
            read = x if ctx.read is None else ctx.read
            found = ctx.use.adjoint(ctx.op, {"x": read}, params, grad, frozenset(wanted))
        return None, *map(found.get, names)
