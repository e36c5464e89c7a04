"""Spikes that are worth something."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from snnhw.errors import InputError

__all__ = ["GradedSpikes"]


class GradedSpikes(nn.Module):
    """Multiplies each feature by a learnt weight: ``[..., size]`` to ``[..., size]``.

    ``weights`` is ``[size, 1]``, as in a state_dict of snnTorch, which multiplies along the first axis
    and so takes no batch; here it is the last.

    Args:
        size: number of features.
        constant_factor: what every weight starts from; 0 or None: random, uniform from 0.5 to 1.5.

    Raises:
        InputError: the last axis of an input is not ``size``.
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
        if not input_.ndim or input_.shape[-1] != self.size:
            raise InputError(
                f"GradedSpikes({self.size}): the last axis of its input has {self.size} features, not "
                f"{tuple(input_.shape)}; is the layer before it of another size?"
            )
        return input_ * self.weights.flatten()

    def extra_repr(self) -> str:
        return str(self.size)
