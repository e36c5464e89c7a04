"""Stateless ops on torch, where torch's own function is not quite what the op says."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from snnhw.ir import Op, SumPool1d, SumPool2d, Upsample, WinnerTakeAll
from snnhw.tensors.network import OPERATIONS


def run(op: Op, x: Tensor) -> Tensor:
    return OPERATIONS[type(op)](op, {"x": x}, {})


@pytest.mark.parametrize("factor", [1, 2, 3, 7, 41, 47, 55])
def test_values_are_repeated_whatever_the_factor(factor: int) -> None:
    x = torch.arange(2.0 * 3 * 50).reshape(2, 3, 50)
    assert torch.equal(run(Upsample((factor,)), x), x.repeat_interleave(factor, 2))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_the_first_of_the_largest_wins_in_every_row(axis: int) -> None:
    x = torch.tensor(
        [[[1.0, 2.0, 2.0], [3.0, 2.0, 0.0]], [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]], requires_grad=True
    )
    wanted = {
        0: [[[0, 1, 1], [1, 0, 0]], [[1, 1, 1], [0, 0, 0]]],
        1: [[[0, 1, 0], [1, 0, 0]], [[1, 0, 0], [1, 0, 0]]],
    }[axis % 2]
    found = run(WinnerTakeAll(axis), x)
    assert torch.equal(found, torch.tensor(wanted, dtype=torch.float32))
    assert not found.requires_grad


def test_sums_are_not_means() -> None:
    x = torch.ones(2, 3, 6)
    assert torch.equal(run(SumPool1d((3,), (3,), (1,)), x), torch.tensor([2.0, 3.0]).expand(2, 3, 2))
    assert torch.equal(run(SumPool2d((2, 3), (1, 3)), x[None]), torch.full((1, 2, 2, 2), 6.0))
