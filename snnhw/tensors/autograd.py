"""torch's autograd functions: with types, which torch gives them in later releases, and with a word for who
differentiates twice what can be differentiated once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

__all__ = ["Function", "graft", "only_once"]


class Function(torch.autograd.Function):
    """The base of every function whose backward is written by hand."""

    if TYPE_CHECKING:

        @classmethod
        def apply(cls, *args: Any, **kwargs: Any) -> Any: ...


def only_once(found: Sequence[Tensor | None], why: str) -> tuple[Tensor | None, ...]:
    """What a backward pass gives that no second one goes through: who tries gets a RuntimeError that says
    why. torch's own ``once_differentiable`` does the same, and names nobody."""
    if not torch.is_grad_enabled():  # nobody keeps a graph
        return tuple(found)
    refused: Any = torch._C._functions.DelayedError(why.encode(), len(found))
    marked = [None if x is None else x.detach().requires_grad_() for x in found]
    given: tuple[Tensor | None, ...] = refused(*marked)
    return given


class _Graft(Function):
    """See `graft`."""

    generate_vmap_rule = True

    @staticmethod
    def forward(value: Tensor, *_: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], _: Tensor) -> None:
        pairs = inputs[1:]
        ctx.save_for_backward(*pairs[1::2])
        ctx.save_for_forward(*pairs[1::2])
        ctx.shapes = [x.shape for x in pairs[::2]]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        found: list[Tensor | None] = [None]
        for d, shape in zip(ctx.saved_tensors, ctx.shapes, strict=True):
            found += [(grad * d).sum_to_size(shape), None]
        return tuple(found)

    @staticmethod
    def jvp(ctx: Any, _: Tensor | None, *tangents: Tensor | None) -> Tensor | None:
        parts = [d * x for d, x in zip(ctx.saved_tensors, tangents[::2], strict=True) if x is not None]
        return sum(parts[1:], start=parts[0]) if parts else None


def graft(value: Tensor, *pairs: Tensor) -> Tensor:
    """``graft`` of the language: a value, and its derivative to each x; pairs are ``x, derivative``. torch
    differentiates it as often as one likes, and transforms it."""
    if torch._C._is_tracing():  # a trace holds torch's own operations, and is for what a network gives
        return value
    found: Tensor = _Graft.apply(value.detach(), *pairs) if pairs else value.detach()
    return found
