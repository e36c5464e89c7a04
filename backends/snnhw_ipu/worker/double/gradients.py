"""PopART's rules of gradient where they are not torch's.

A maximum or minimum passes the gradient to every operand that equals the result; so does a maximum over an
axis, and pooling by one. `clamp` is a maximum, then a minimum. Source: PopART 3.4's operations, and
``popnn::pooling`` for pooling.
"""

from __future__ import annotations

from typing import Any, Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["GRADIENTS"]


class _Shared(torch.autograd.Function):
    """A value whose gradient goes to several tensors, to each where its mask says."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, *pairs: Tensor) -> Tensor:
        ctx.save_for_backward(*pairs)
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        found: list[Tensor | None] = [None]
        pairs = ctx.saved_tensors
        for x, mask in zip(pairs[::2], pairs[1::2]):
            found += [(grads[0] * mask).sum_to_size(x.shape), None]
        return tuple(found)


def _apply(*arguments: Tensor) -> Tensor:
    function: type[torch.autograd.Function] = _Shared
    found: Tensor = function.apply(*arguments)
    return found


def _shared(value: Tensor, *xs: Tensor) -> Tensor:
    pairs: list[Tensor] = []
    for x in xs:
        pairs += [x, torch.eq(x, value).to(value.dtype)]
    return _apply(value.detach(), *pairs)


def _extreme(reduce: Callable[..., Tensor]) -> Callable[..., list[Tensor]]:
    def rule(x: Tensor, dim: Sequence[int] = (), keepdim: bool = False) -> list[Tensor]:
        axes = list(dim) or list(range(x.dim()))
        value = reduce(x, axes, True)
        whole = _apply(value.detach(), x, torch.eq(x, value).to(x.dtype))
        return [whole if keepdim else whole.reshape(reduce(x, axes, False).shape)]

    return rule


def _clamp(x: Tensor, low: float | None = None, high: float | None = None) -> list[Tensor]:
    value = torch.clamp(x, low, high)
    return [_shared(value, x)]


def _max_pool2d(
    x: Tensor, kernel: list[int], stride: Sequence[int] = (), padding: Sequence[int] = (0, 0), *rest: Any
) -> list[Tensor]:
    down, across = stride or kernel
    padding = [*padding, *padding][:2]
    value, index = F.max_pool2d_with_indices(x, kernel, [down, across], padding)
    wide = F.pad(x, (padding[1], padding[1], padding[0], padding[0]), value=float("-inf"))
    seen = wide.unfold(2, kernel[0], down).unfold(3, kernel[1], across)
    mask = torch.eq(seen, value[..., None, None]).to(x.dtype)
    whole = _apply(value[..., None, None].detach(), seen, mask)
    return [whole[..., 0, 0], index]


GRADIENTS: dict[str, Callable[..., list[Tensor]]] = {
    "maximum": lambda a, b: [_shared(torch.maximum(a, b), a, b)],
    "minimum": lambda a, b: [_shared(torch.minimum(a, b), a, b)],
    "amax": _extreme(torch.amax),
    "amin": _extreme(torch.amin),
    "clamp": _clamp,
    "max_pool2d_with_indices": _max_pool2d,
}
"""Operation -> its results, with PopART's gradient."""
