"""Networks that are counted on: the ones of NeuroBench's own tests and examples, with modules of ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import snnhw as snn

__all__ = ["EXAMPLES", "KNOWN", "Gestures", "drawn"]


def drawn(net: nn.Module, seed: int = 0) -> nn.Module:
    """Weights that are sums of a few powers of two, some of them 0: sums of them are exact in float32."""
    generator = torch.Generator().manual_seed(seed)
    for param in net.parameters():
        values = torch.randint(-24, 32, param.shape, generator=generator) / 64
        param.data.copy_(values.masked_fill(values.abs() < 0.1, 0.0))
    return net


def _once(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(*layers)


def _with_a_four(*shape: int) -> Tensor:
    x = torch.ones(1, *shape)
    x.view(-1)[0] = 4  # no spikes, then
    return x


KNOWN: dict[str, tuple[Callable[[], nn.Module], Tensor, float, float]] = {
    "two layers": (
        lambda: _once(nn.Linear(20, 25, bias=False), nn.Sigmoid(), nn.Linear(25, 25, bias=False), nn.ReLU()),
        _with_a_four(1, 20),
        1125,
        0,
    ),
    "four layers": (
        lambda: _once(
            nn.Linear(20, 20, bias=False),
            nn.Sigmoid(),
            nn.Linear(20, 25, bias=False),
            nn.Sigmoid(),
            nn.Linear(25, 25, bias=False),
            nn.Sigmoid(),
            nn.Linear(25, 25, bias=False),
            nn.Sigmoid(),
        ),
        _with_a_four(1, 20),
        2150,
        0,
    ),
    "a kernel's size": (
        lambda: _once(nn.Conv2d(1, 1, 3, bias=False), nn.ReLU()),
        _with_a_four(1, 1, 3, 3),
        9,
        0,
    ),
    "a picture": (
        lambda: _once(nn.Conv2d(1, 1, 3, bias=False), nn.ReLU()),
        _with_a_four(1, 1, 12, 12),
        900,
        0,
    ),
    "a row": (lambda: _once(nn.Conv1d(5, 1, 5, bias=False), nn.ReLU()), _with_a_four(1, 5, 10), 150, 0),
    "spikes": (
        lambda: _once(nn.Linear(20, 5, bias=False), snn.Leaky(beta=0.9, init_hidden=True)),
        torch.ones(10, 5, 20),
        0,
        1000,
    ),
}
"""What stands in NeuroBench's own tests of this metric (tests/test_metrics.py of 2.3.0): a network, its input
``[T, B, ...]``, effective MACs and ACs of a sample."""


def leaky(beta: float, **options: Any) -> nn.Module:
    return snn.Leaky(beta=beta, init_hidden=True, **options)


class Gestures(nn.Module):
    """Its example on DVS gestures, smaller."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(n, m, 5, padding="same") for n, m in ((2, 4), (4, 6)))
        self.pool = nn.MaxPool2d(2)
        self.lif1, self.lif2 = leaky(0.5, threshold=3.5), leaky(0.75, threshold=2.5)
        self.linear, self.dropout = nn.Linear(6 * 4 * 4, 11), nn.Dropout(0.6)
        self.lif3 = leaky(0.875, threshold=0.5, output=True)

    def forward(self, x: Tensor) -> Any:
        first = self.lif1(self.pool(self.conv1(x)))
        second = self.lif2(self.pool(self.conv2(first)))
        return self.lif3(self.dropout(self.linear(second.flatten(1))))


def speech() -> nn.Module:
    """Its example on spoken words, smaller."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(20, 32),
        leaky(0.875),
        nn.Linear(32, 32),
        leaky(0.875),
        nn.Linear(32, 35),
        leaky(0.875, output=True),
    )


class Activities(nn.Module):
    """Its example on human activities, smaller, one step of it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.max1 = nn.Conv1d(6, 10, 2, padding=4), nn.MaxPool1d(2)
        self.conv2, self.max2 = nn.Conv1d(10, 16, kernel_size=1), nn.MaxPool1d(2)
        self.lif1, self.lif2, self.lif3 = leaky(0.5), leaky(0.25), leaky(0.5, output=True)
        self.linear = nn.Linear(32, 7)

    def forward(self, x: Tensor) -> Any:
        x = self.lif1(self.max1(self.conv1(x.unsqueeze(2))))
        x = self.lif2(self.max2(self.conv2(x)))
        return self.lif3(self.linear(x.flatten(1)))


def recurrent() -> nn.Module:
    """One with connections back."""
    return nn.Sequential(
        nn.Linear(8, 12),
        snn.RLeaky(beta=0.75, linear_features=12, init_hidden=True),
        nn.Linear(12, 4),
        snn.Synaptic(alpha=0.5, beta=0.75, init_hidden=True),
        nn.Linear(4, 3),
        leaky(0.5, output=True),
    )


EXAMPLES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], bool]] = {
    "gestures": (Gestures, (2, 16, 16), True),
    "speech": (speech, (20,), True),
    "activities": (Activities, (6,), False),
    "recurrent": (recurrent, (8,), True),
}
"""A network, the shape of a sample at one step, and whether it is spikes."""
