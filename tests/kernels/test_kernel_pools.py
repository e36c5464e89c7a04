"""Pools of our own: torch's numbers and torch's gradients, in every bit."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from snnhw.ir import MaxPool2d
from snnhw_cpu.pools import MaxPool, pools

KINDS = {
    "halves": MaxPool2d((2, 2), (2, 2)),
    "overlapping": MaxPool2d((3, 2), (1, 1)),
    "with gaps": MaxPool2d((2, 1), (3, 2)),
}


def both(op: MaxPool2d, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Result and gradient, ours and torch's."""
    found = []
    for ours in (True, False):
        leaf = x.clone().requires_grad_()
        y = MaxPool()(op, {"x": leaf}, {}) if ours else F.max_pool2d(leaf, op.kernel, op.stride)
        seed = torch.arange(y.numel(), dtype=y.dtype).reshape(y.shape) - 50
        found.append([y, *torch.autograd.grad(y, leaf, seed)])
    return found[0], found[1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_as_torch(kind: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = torch.randint(-2, 3, (5, 3, 11, 13)).to(dtype)  # many ties
    for ours, theirs in zip(*both(KINDS[kind], x), strict=True):
        assert ours.dtype == dtype
        assert torch.equal(ours, theirs)


def test_what_is_no_number_or_infinite() -> None:
    x = torch.tensor([[[[torch.nan, 1.0, -torch.inf, -torch.inf], [2.0, 3.0, -torch.inf, -torch.inf]]]])
    x = torch.cat([x, x.flip(-1), x.flip(-2), -x])
    for ours, theirs in zip(*both(KINDS["halves"], x), strict=True):
        assert torch.equal(ours.nan_to_num(7.0), theirs.nan_to_num(7.0))


def test_an_input_that_is_not_contiguous() -> None:
    x = torch.randn(4, 6, 8, 3).permute(0, 3, 1, 2)
    for ours, theirs in zip(*both(KINDS["halves"], x), strict=True):
        assert torch.equal(ours, theirs)


def test_padding_is_left_to_torch() -> None:
    assert pools(MaxPool2d((2, 2), (2, 2)))
    assert not pools(MaxPool2d((3, 3), (1, 1), padding=(1, 1)))
    assert not pools(MaxPool2d((16, 16), (1, 1)))
