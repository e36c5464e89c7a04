"""What tests of loops over time share: layers as snnTorch's tutorials have them, and a signal."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

import snnhw as snn

T, B = 5, 3


def signal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0)) * 2


class Net(nn.Module):
    """Layers as snnTorch's tutorials have them; one forward for each test."""

    num_steps = T
    lif1: Any
    lif2: Any
    syn: Any

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.fc1, self.fc2 = nn.Linear(6, 8), nn.Linear(8, 4)
        self.lif1, self.lif2 = snn.Leaky(beta=0.8, threshold=0.4), snn.Leaky(beta=0.7, threshold=0.3)
        self.syn = snn.Synaptic(alpha=0.5, beta=0.8, threshold=0.4)
        self.hidden = snn.Leaky(beta=0.8, threshold=0.4, init_hidden=True)


class Inside(Net):
    """Neurons that keep their states; the current is computed once."""

    def forward(self, x: Tensor, steps: int = T) -> Any:
        snn.utils.reset(self)
        cur = self.fc1(x)
        return torch.stack([self.fc2(self.hidden(cur)) + self.fc2(cur) for _ in range(steps)])
