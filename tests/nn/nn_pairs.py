"""Neurons of ours and of snnTorch, made alike and compared step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnhw as snn

__all__ = ["MAKE", "RESETS", "B", "N", "Soft", "T", "pair", "same", "signal", "theirs"]

theirs: Any = pytest.importorskip("snntorch", reason="snntorch is the oracle: pip install snntorch==1.0.0")

T, B, N = 6, 3, 4

MAKE: dict[str, Callable[..., Any]] = {
    "Leaky": lambda c, **k: c(0.9, **k),
    "Lapicque": lambda c, **k: c(0.9, **k),
    "Synaptic": lambda c, **k: c(0.8, 0.9, **k),
    "Alpha": lambda c, **k: c(0.9, 0.8, **k),
    "RLeaky": lambda c, **k: c(0.9, linear_features=N, **k),
    "RSynaptic": lambda c, **k: c(0.8, 0.9, all_to_all=False, V=0.3, **k),
    "SLSTM": lambda c, **k: c(N, N, **{"threshold": 0.1, **k}),
    "SConv2dLSTM": lambda c, **k: c(1, 2, 3, **{"threshold": 0.05, **k}),
}
RESETS = ("subtract", "zero", "none")


def signal(name: str) -> Tensor:
    shape = (B, 1, 5, 5) if name == "SConv2dLSTM" else (B, N)
    return torch.rand(T, *shape, generator=torch.Generator().manual_seed(0)) * 2


def pair(name: str, change: Callable[[Any], Any] = lambda kind: kind, **options: Any) -> tuple[Any, Any]:
    """A neuron of ours and of snnTorch, with the same weights; ``change`` makes their classes."""
    ours, other = (MAKE[name](change(getattr(library, name)), **options) for library in (snn, theirs))
    state = {key: value for key, value in other.state_dict().items() if "." in key}
    ours.load_state_dict(state, strict=False)
    return ours, other


def same(ours: Any, other: Any, x: Tensor, **close: Any) -> None:
    """Spikes, states and gradients to the input, over all steps."""
    found = []
    for layer in (ours, other):
        given = x.clone().requires_grad_()
        parts = [part for now in given for part in layer(now)]
        sum((part * (k % 5 + 1)).sum() for k, part in enumerate(parts)).backward()
        found.append([*(part.detach() for part in parts), given.grad])
    for mine, wanted in zip(*found, strict=True):
        torch.testing.assert_close(mine, wanted, **{"rtol": 1e-5, "atol": 1e-5, **close})


class Soft(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(2.0))

    def forward(self, z: Tensor) -> Tensor:
        soft = torch.sigmoid(self.slope * z)
        return ((z > 0).to(z.dtype) - soft).detach() + soft
