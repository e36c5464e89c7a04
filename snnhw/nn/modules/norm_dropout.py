"""Layers that tell steps apart: batch normalisation through time, dropout with one mask for a sequence.

Both count or remember something from step to step; `snnhw.utils.reset` begins a new sequence.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from snnhw import ir
from snnhw.errors import InputError, ProgramError

__all__ = ["BatchNormTT", "BatchNormTT1d", "BatchNormTT2d", "Dropout"]


class BatchNormTT(nn.ModuleList):
    """One batch normalisation for every step, each with a scale and running statistics of its own, no shift.

    Index it by the step, as in snnTorch, ``bn[t](x)``; or call it, ``bn(x)``, and it counts the steps
    itself, which is how it is captured. `snnhw.utils.reset` goes back to the first.

    Source: Y. Kim, P. Panda, arXiv:2010.01729, 2020.

    Args:
        input_features: features or channels of a sample.
        time_steps: T.
        eps: added to the variance.
        momentum: how far a running statistic moves.
        affine: whether there are scales to learn.

    Raises:
        InputError: called more than T times without a reset; or a number that makes no sense.
    """

    layer: ClassVar[type[nn.BatchNorm1d | nn.BatchNorm2d]]

    def __init__(
        self,
        input_features: int,
        time_steps: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
    ) -> None:
        for name, size in (("input_features", input_features), ("time_steps", time_steps)):
            if type(size) is not int or size < 1:
                raise InputError(f"{type(self).__name__}({name}={size!r}): give a whole number, 1 or more")
        super().__init__(
            self.layer(input_features, eps=eps, momentum=momentum, affine=affine) for _ in range(time_steps)
        )
        for layer in self:
            layer.register_parameter("bias", None)
        self.step = 0

    def reset_mem(self) -> None:
        """Go back to the first step."""
        self.step = 0

    def forward(self, input_: Tensor) -> Tensor:
        """One step: ``[B, C]`` or ``[B, C, ...]`` in and out."""
        if self.step >= len(self):
            raise InputError(
                f"{type(self).__name__} has parameters for {len(self)} steps and is called once more; call "
                "snnhw.utils.reset(net) before a new sequence, or construct it with more time_steps"
            )
        self.step += 1
        found: Tensor = self[self.step - 1](input_)
        return found


class BatchNormTT1d(BatchNormTT):
    """`BatchNormTT` of samples ``(C,)`` or ``(C, length)``."""

    layer = nn.BatchNorm1d


class BatchNormTT2d(BatchNormTT):
    """`BatchNormTT` of samples ``(C, height, width)``."""

    layer = nn.BatchNorm2d


class Dropout(nn.Module):
    """Dropout that may keep its mask for a whole sequence.

    Args:
        p: the share of elements left out in training.
        mask: ``held``: drawn at the first step after `snnhw.utils.reset`, then the same; ``per_step``: drawn
            at every step, as ``torch.nn.Dropout`` does in a loop over time.

    Called by itself it draws with torch's generator. Compiled, it draws by the seed of the job.
    """

    def __init__(self, p: float = 0.5, mask: Literal["held", "per_step"] = "held") -> None:
        super().__init__()
        try:
            self.op = ir.Dropout(p, mask)
        except ProgramError as error:
            raise InputError(error.problems[0]) from None
        self.reset_mem()

    def reset_mem(self) -> None:
        """Forget the mask."""
        self._factors = torch.zeros(0)

    def forward(self, input_: Tensor) -> Tensor:
        """One step: ``[B, ...]`` in and out.

        Raises:
            InputError: the mask was drawn for another shape.
        """
        if not self.training:
            return input_
        if self.op.mask == "per_step" or not self._factors.numel():
            self._factors = nn.functional.dropout(torch.ones_like(input_), self.op.p)
        if self._factors.shape != input_.shape:
            raise InputError(
                f"Dropout holds a mask of shape {list(self._factors.shape)} but was given "
                f"{list(input_.shape)}; reset it with snnhw.utils.reset(net) before another batch"
            )
        return input_ * self._factors

    def extra_repr(self) -> str:
        return f"p={self.op.p}, mask={self.op.mask!r}"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_factors": self._factors.detach()}
