"""Convolutions slab by slab: the same function, whatever is left over for the last slab."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from snnhw.ir import Conv2d
from snnhw_cpu import slabs

OP = Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), groups=2)


@pytest.fixture(autouse=True)
def small_slabs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three images each."""
    monkeypatch.setattr(slabs, "SLAB", 3 * 6 * 4 * 6 * 8)


def given(*, bias: bool) -> dict[str, Tensor]:
    torch.manual_seed(1)
    shapes = {"weight": (6, 2, 3, 2), **({"bias": (6,)} if bias else {})}
    return {
        name: torch.randn(shape, dtype=torch.float64, requires_grad=True) for name, shape in shapes.items()
    }


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [0, 1, 7, 9])
def test_the_same_as_at_once(rows: int, bias: bool) -> None:
    params = given(bias=bias)
    x = torch.randn(rows, 4, 8, 7, dtype=torch.float64, requires_grad=True)
    ours = slabs.convolution(OP, {"x": x}, params)
    plain = F.conv2d(x, params["weight"], params.get("bias"), OP.stride, OP.padding, OP.dilation, OP.groups)
    seed = torch.randn_like(plain)
    torch.testing.assert_close(ours, plain)
    for a, b in zip(
        torch.autograd.grad(ours, [x, *params.values()], seed),
        torch.autograd.grad(plain, [x, *params.values()], seed),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


def test_only_the_gradients_that_are_wanted() -> None:
    params = given(bias=True)
    params["weight"].requires_grad_(False)
    x = torch.randn(7, 4, 8, 7, dtype=torch.float64)
    slabs.convolution(OP, {"x": x}, params).sum().backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    assert params["weight"].grad is None
    assert params["bias"].grad is not None
    torch.testing.assert_close(params["bias"].grad, torch.full((6,), 7.0 * 4 * 6, dtype=torch.float64))


def test_large_results_are_computed_in_slabs_and_small_ones_at_once() -> None:
    for rows, node in ((6, "ConvolutionBackward0"), (7, "_SlabsBackward")):
        x = torch.randn(rows, 4, 8, 7, dtype=torch.float64)
        made_by = slabs.convolution(OP, {"x": x}, given(bias=True)).grad_fn
        assert type(made_by).__name__ == node
