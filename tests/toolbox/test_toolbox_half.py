"""Losses and accuracies of what a network gives at half precision: they count and square in float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from snnhw import functional as SF

STEPS = 600
LOSSES: dict[str, Callable[[], Any]] = {
    "ce_rate": SF.ce_rate_loss,
    "ce_count": SF.ce_count_loss,
    "mse_count": lambda: SF.mse_count_loss(0.8, 0.2),
    "ce_max_membrane": SF.ce_max_membrane_loss,
    "mse_membrane": SF.mse_membrane_loss,
    "l1": SF.l1_rate_sparsity,
}


def spikes() -> torch.Tensor:
    """``[T, B, C]``: classes that differ by a spike or two among hundreds."""
    found = torch.zeros(STEPS, 3, 4)
    for number in range(4):
        found[: 500 + number, :, number] = 1.0
    return found


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_that_of_float32(name: str, dtype: torch.dtype) -> None:
    x, targets = spikes(), torch.tensor([0, 3, 1])
    given = () if name == "l1" else (targets,)
    ours, wanted = LOSSES[name]()(x.to(dtype), *given), LOSSES[name]()(x, *given)
    assert ours.dtype == torch.float32
    assert torch.equal(ours, wanted)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_an_accuracy_tells_counts_apart_that_half_precision_does_not(dtype: torch.dtype) -> None:
    x, targets = spikes(), torch.tensor([3, 3, 0])
    assert x[:, 0].sum(0).to(torch.bfloat16).unique().numel() < 4, "else this tests nothing"
    assert SF.accuracy_rate(x.to(dtype), targets) == SF.accuracy_rate(x, targets) == 2 / 3


def test_arrays_of_half_precision_too() -> None:
    x, targets = spikes().numpy(), np.array([3, 3, 0])
    assert SF.accuracy_rate(x.astype(np.float16), targets) == 2 / 3
