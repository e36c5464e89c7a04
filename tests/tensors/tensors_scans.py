"""Sizes and numbers that tests of scans share."""

from __future__ import annotations

import torch
from torch import Tensor

T, B = 6, 2


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def number(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)
