"""Spikes that are worth something."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from snnhw.errors import InputError

__all__ = ["GradedSpikes"]


class GradedSpikes(nn.Module):
    """Multiplies each feature by a learnt weight.

    ``[..., size]``, or columns ``[..., size, 1]`` as in snnTorch, which takes no others: its ``weights``
    are ``[size, 1]``. Where both fit, ``[..., 1, 1]``, they are one.

    Args:
        size: number of features.
        constant_factor: what every weight starts from; 0 or None: random, uniform from 0.5 to 1.5.

    Raises:
        InputError: neither is an axis of ``size``.
    """

    def __init__(self, size: int, constant_factor: float | None = None) -> None:
        super().__init__()
        self.size = size
        start = (
            torch.full((size, 1), float(constant_factor)) if constant_factor else torch.rand(size, 1) + 0.5
        )
        self.weights = nn.Parameter(start)

    def forward(self, input_: Tensor) -> Tensor:
        """The input, each feature times its weight."""
        if input_.ndim > 1 and tuple(input_.shape[-2:]) == (self.size, 1):
            return input_ * self.weights
        if not input_.ndim or input_.shape[-1] != self.size:
            raise InputError(
                f"GradedSpikes({self.size}): the last axis of its input has {self.size} features, not "
                f"{tuple(input_.shape)}; is the layer before it of another size?"
            )
        return input_ * self.weights.flatten()

    def extra_repr(self) -> str:
        return str(self.size)
