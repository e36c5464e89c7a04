"""A small module for tests of PopTorch's stand-in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from snnhw_ipu.worker import double

poptorch: Any = double
"""Users of the real module have no types for it either."""

Forward = Callable[..., Any]

X = torch.tensor([[1.0, -1.0], [2.0, 0.5]])


class Net(nn.Module):
    """A weight of two, a buffer of two, and any forward."""

    def __init__(self, forward: Forward | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, 2.0]))
        self.register_buffer("seen", torch.zeros(2))
        self.body = forward
        self.calls: list[int] = []

    def forward(self, x: Tensor) -> Any:
        self.calls.append(1)
        if self.body is not None:
            return self.body(self, x)
        y = x * self.weight
        return y, poptorch.identity_loss((y * y).sum(), "none")


def training(net: nn.Module, options: Any = None, lr: float = 0.1) -> Any:
    return poptorch.trainingModel(net, options, poptorch.optim.SGD(net.parameters(), lr=lr))
