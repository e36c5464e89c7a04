"""Signals that arrive later."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from snnhw.errors import InputError
from snnhw.words import brief

__all__ = ["Delay"]


class Delay(nn.Module):
    """Returns at every step what it was given ``steps`` steps ago; zeros before that.

    In a program it is an edge with a delay, which carries on from run to run with the rest of the state.

    Args:
        steps: 1 or more.

    Raises:
        InputError: steps is no such number.
    """

    def __init__(self, steps: int) -> None:
        super().__init__()
        if type(steps) is not int or steps < 1:
            raise InputError(f"Delay(steps={brief(steps)}): give a number of steps, 1 or more")
        self.steps = steps
        self.reset_mem()

    def reset_mem(self) -> None:
        """Forget what is under way."""
        self._line = torch.zeros(0)  # of no shape: the next input decides

    def detach_hidden(self) -> None:
        """Cut the graph of earlier steps, keeping the values."""
        self._line = self._line.detach()

    def forward(self, input_: Tensor) -> Tensor:
        """One step: ``[B, ...]`` in and out.

        Raises:
            InputError: another shape is under way.
        """
        rest = self._line.ndim == 1
        line = input_.new_zeros(self.steps, *input_.shape) if rest else self._line.to(input_)
        if line.shape[1:] != input_.shape:
            raise InputError(
                f"Delay({self.steps}) holds values of shape {list(line.shape[1:])} but was given "
                f"{list(input_.shape)}; reset it with snnhw.utils.reset(net) before another batch"
            )
        self._line = torch.cat([line[1:], input_[None]])
        return line[0]

    def extra_repr(self) -> str:
        return str(self.steps)

    def __getstate__(self) -> dict[str, Any]:
        # Copies and pickles keep the values, not the graph behind them.
        return {**self.__dict__, "_line": self._line.detach()}
