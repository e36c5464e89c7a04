"""The steps of each sample that count: all of them, or its own first ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from math import floor
from operator import mul

import torch
from torch import Tensor

__all__ = ["OwnSteps"]


@dataclass(frozen=True, eq=False)
class OwnSteps:
    """The steps that a term of a loss is about.

    Attributes:
        steps: T, of the signal.
        lengths: how many of them each sample has, ``[B]``; None: all of them.
    """

    steps: int
    lengths: Tensor | None = None

    def alive(self, like: Tensor) -> Tensor:
        """Which steps of a signal ``[T, B, ...]`` there are, ``[T, B, 1, ...]``."""
        assert self.lengths is not None, "who asks has looked"
        steps = torch.arange(self.steps, device=like.device)
        return (steps[:, None] < self.lengths).view(*like.shape[:2], *[1] * (like.ndim - 2))

    def own(self, x: Tensor) -> Tensor:
        """``[T, B, ...]``, with zeros behind the end of each sample."""
        return x if self.lengths is None else torch.where(self.alive(x), x, 0)

    def sum(self, x: Tensor) -> Tensor:
        """Over time: ``[T, B, ...]`` gives ``[B, ...]``."""
        return self.own(x).sum(0)

    def mean(self, x: Tensor) -> Tensor:
        """Over time, likewise."""
        return x.mean(0) if self.lengths is None else self.sum(x) / self.duration(x[0])

    def largest(self, x: Tensor) -> Tensor:
        """Over time, likewise; what is behind an end is as its first step, and so no larger."""
        return (x if self.lengths is None else torch.where(self.alive(x), x, x[:1])).max(0).values

    def duration(self, like: Tensor) -> Tensor | int:
        """The number of steps, for ``[B, ...]``; 1 where there are none, of which nothing counts."""
        return (
            self.steps if self.lengths is None else self._for(self.lengths.clamp(min=1).to(like.dtype), like)
        )

    def share(self, factors: Iterable[float], like: Tensor) -> Tensor | int:
        """The number of steps times factors, left to right in float64, rounded down; for ``[B, ...]``."""
        if self.lengths is None:
            return floor(reduce(mul, factors, self.steps))
        return self._for(reduce(mul, factors, self.lengths.double()).floor().to(like.dtype), like)

    def counted(self, values: Tensor) -> Tensor:
        """Values ``[B, ...]``, zero for samples without steps."""
        if self.lengths is None:
            return values
        return torch.where(self._for(self.lengths > 0, values), values, 0)

    @staticmethod
    def _for(x: Tensor, like: Tensor) -> Tensor:
        """``[B]`` as ``[B, 1, ...]``."""
        return x.view(-1, *[1] * (like.ndim - 1))
