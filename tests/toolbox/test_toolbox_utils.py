"""Subsets and splits of datasets, as snnTorch makes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from snnhw import utils
from snnhw.errors import InputError


class Samples:
    """A dataset as torchvision's are, of numbers whose class is ten times as much."""

    def __init__(self, count: int = 11, kind: Callable[[Any], Any] = torch.tensor) -> None:
        self.data = kind(list(range(count)))
        self.targets = kind([10 * number for number in range(count)])

    def __len__(self) -> int:
        return len(self.data)

    def numbers(self) -> list[int]:
        data, targets = np.asarray(self.data), np.asarray(self.targets)
        assert (targets == 10 * data).all()
        return [int(number) for number in data]


@pytest.mark.parametrize("kind", [torch.tensor, np.array, list])
def test_a_subset_is_a_block(kind: Callable[[Any], Any]) -> None:
    assert utils.data_subset(Samples(kind=kind), 3).numbers() == [0, 1, 2]
    assert utils.data_subset(Samples(kind=kind), 3, idx=2).numbers() == [6, 7, 8]
    same = Samples(kind=kind)
    assert utils.data_subset(same, 1) is same
    assert len(same) == 11


@pytest.mark.parametrize("split", [0.0, 0.3, 1.0])
def test_a_split_shares_all_samples(split: float) -> None:
    train, val = utils.valid_split(Samples(), Samples(), split)
    assert len(val) == int(11 * split)
    assert val.numbers() == sorted(val.numbers())
    assert sorted(train.numbers() + val.numbers()) == list(range(11))


def test_a_split_is_snntorchs() -> None:
    theirs: Any = pytest.importorskip("snntorch.utils")
    ours = utils.valid_split(Samples(50), Samples(50), 0.2, seed=3)
    peers = theirs.valid_split(Samples(50), Samples(50), 0.2, seed=3)
    assert [each.numbers() for each in ours] == [each.numbers() for each in peers]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: utils.data_subset(Samples(), 0), r"data_subset\(subset=0, idx=0\): give a number of blocks"),
        (lambda: utils.data_subset(Samples(), 3, 3), r"data_subset\(subset=3, idx=3\): give a number of"),
        (lambda: utils.data_subset([1, 2], 2), "a list has not both data and targets, as torchvision's"),
        (lambda: utils.valid_split(Samples(), Samples(), 1.5), r"split=1.5\): give a share from 0 to 1"),
        (
            lambda: utils.valid_split(same := Samples(), same, 0.5),
            "needs two datasets; load the training data",
        ),
    ],
)
def test_messages(build: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build()
