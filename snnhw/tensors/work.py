"""What computes tensors from tensors and knows its way back: in autograd's graph, or on a tape of ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

__all__ = ["Done", "Grads", "Recorded", "Work"]

Grads = Sequence[Tensor | None]
"""Adjoints; None is zero, or not wanted."""


class Done(NamedTuple):
    """What a `Work` gives, and what its way back reads."""

    found: Sequence[Tensor]
    kept: Any


class Work(Protocol):
    """A function of tensors. One object may run many times, on tensors of the same shapes."""

    def __call__(self, *tensors: Tensor) -> Sequence[Tensor]:
        """In autograd's graph, where one is recorded."""
        ...

    def forward(self, tensors: Sequence[Tensor], needs: Sequence[bool]) -> Done:
        """Without a graph.

        Args:
            needs: which adjoints `backward` will be asked for; none, where it is not called.
        """
        ...

    def backward(self, kept: Any, grads: Grads, needs: Sequence[bool]) -> Grads:
        """The adjoints of the tensors, from those of what was found; the same bits that autograd gives."""
        ...


@dataclass(frozen=True, eq=False)
class Recorded:
    """A function whose way back autograd records, for each call by itself."""

    function: Callable[..., Sequence[Tensor]]

    def __call__(self, *tensors: Tensor) -> Sequence[Tensor]:
        return self.function(*tensors)

    def forward(self, tensors: Sequence[Tensor], needs: Sequence[bool]) -> Done:
        leaves = [x.detach().requires_grad_(need) for x, need in zip(tensors, needs, strict=True)]
        with torch.set_grad_enabled(any(needs)):
            found = self.function(*leaves)
        return Done([x.detach() for x in found], (leaves, found))

    def backward(self, kept: Any, grads: Grads, needs: Sequence[bool]) -> Grads:
        leaves, found = kept
        arrived = [(y, g) for y, g in zip(found, grads, strict=True) if g is not None and y.requires_grad]
        if not arrived:  # there is no way back through it, such as through who wins
            return [None] * len(leaves)
        wanted = [x for x, need in zip(leaves, needs, strict=True) if need]
        ends, seeds = zip(*arrived, strict=True)
        parts = iter(torch.autograd.grad(ends, wanted, seeds, allow_unused=True))
        return [next(parts) if need else None for need in needs]
