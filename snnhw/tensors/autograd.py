"""torch's autograd functions: with types, which torch gives them in later releases, and with a word for who
differentiates twice what can be differentiated once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

__all__ = ["Function", "only_once"]


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
