"""Convolutions of images of bits: exact where sums can be, and when they are used."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from snnhw.ir import Conv2d
from snnhw.tensors.network import ADJOINTS, Memo
from snnhw_cpu.convolution import ConvLayer, ConvUse
from snnhw_cpu.costs import SHIPPED
from snnhw_cpu.limits import USUAL, Limits, Way
from snnhw_cpu.lookup.images import convolved, fits, pack_images, weight_adjoint

SIZES = [
    (1, 1, 3, 3, 1, 3, (0, 0)),
    (3, 2, 9, 9, 5, 3, (1, 1)),
    (5, 2, 7, 13, 33, 3, (0, 1)),
    (2, 3, 6, 62, 70, 3, (1, 1)),
    (30, 2, 8, 8, 32, 3, (2, 0)),
    (0, 2, 8, 8, 32, 3, (1, 1)),
    (7, 3, 12, 12, 64, 5, (0, 0)),
    (2, 1, 34, 34, 12, 5, (0, 0)),
    (2, 2, 5, 60, 10, 5, (2, 2)),
]
"""Images, channels, height, width, results' channels, kernel, padding: around a word, a block and a tile."""

Size = tuple[int, int, int, int, int, int, tuple[int, int]]


def dyadic(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Whose sums are exact in any order."""
    return torch.randint(-64, 65, shape).to(dtype) / 16


def check(sizes: Size, dtype: torch.dtype) -> None:
    count, channels, height, width, outputs, side, padding = sizes
    torch.manual_seed(0)
    op = Conv2d(channels, outputs, (side, side), padding=padding)
    assert fits(op, width)
    x = (torch.rand(count, channels, height, width) < 0.3).to(dtype)
    w, bias = dyadic(outputs, channels, side, side, dtype=dtype), dyadic(outputs, dtype=dtype)
    wanted = F.conv2d(x.double(), w.double(), bias.double(), padding=padding)
    grad = dyadic(*wanted.shape, dtype=dtype)
    rows, binary = pack_images(x, USUAL.wake)
    assert binary
    adjoint = ADJOINTS[Conv2d](
        op, {"x": x.double()}, {"weight": w.double()}, grad.double(), frozenset({"weight"})
    )
    for limits in (USUAL, Limits(wake=0)):  # one thread and several
        found = convolved(op, rows, w.permute(1, 2, 3, 0).contiguous(), bias, limits)
        assert torch.equal(found, wanted.to(dtype))
        assert torch.equal(weight_adjoint(op, rows, grad, limits), adjoint["weight"].to(dtype))


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_convolutions_of_bits_are_exact(sizes: Size) -> None:
    check(sizes, torch.float32)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_convolutions_of_bits_are_exact_in_float64(sizes: Size) -> None:
    check(sizes, torch.float64)


@pytest.mark.parametrize("at", [(0, 0, 0, 0), (0, 1, 3, 4), (1, 2, 4, 6)], ids=str)
def test_whether_all_are_0_or_1_is_seen(at: tuple[int, ...]) -> None:
    x = torch.ones(2, 3, 5, 7)
    assert pack_images(x, USUAL.wake)[1]
    x[at] = 0.5
    rows, binary = pack_images(x, USUAL.wake)
    assert not binary
    assert rows.words.unique().tolist() == [127]


def test_windows_that_do_not_fit_a_word_or_a_table_are_left_alone() -> None:
    assert fits(Conv2d(2, 3, (5, 5), padding=(2, 2)), 60)
    assert not fits(Conv2d(2, 3, (5, 5), padding=(2, 2)), 61)
    assert not fits(Conv2d(2, 3, (7, 7)), 8)
    assert not fits(Conv2d(2, 3, (3, 3), (2, 2)), 8)
    assert not fits(Conv2d(2, 3, (3, 3), dilation=(2, 2)), 8)
    assert not fits(Conv2d(2, 4, (3, 3), groups=2), 8)


OP = Conv2d(12, 64, (5, 5))


def use(way: Way | None = None, memo: Memo | None = None) -> ConvUse:
    return ConvLayer(Limits(way=way)).at("conv", memo or Memo())


def given() -> dict[str, Tensor]:
    torch.manual_seed(1)
    return {name: torch.randn(spec.shape) for name, spec in OP.params().items()}


def images(density: float, height: float = 1.0) -> Tensor:
    torch.manual_seed(0)
    return (torch.rand(20, 12, 12, 12) < density).float() * height


def test_the_choice_is_made_once_by_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snnhw_cpu.convolution.costs_here", lambda: SHIPPED)
    for density, height, way in ((0.02, 1.0, "lookup"), (0.9, 1.0, "lookup"), (0.3, 0.5, "dense")):
        memo = Memo()
        use(memo=memo)(OP, {"x": images(0.0)}, given())
        assert memo.chosen == {}  # silence says nothing
        for later in (density, 0.5):
            use(memo=memo)(OP, {"x": images(later, height)}, given())
            assert memo.chosen == {"conv": way}
    one = Conv2d(1, 12, (5, 5))
    assert not SHIPPED.looks_up_windows(one, (1600, 1, 28, 28), 32)  # most of a tile would stay empty


@pytest.mark.parametrize("way", ["dense", "skip", "lookup"])
@pytest.mark.parametrize("height", [0.5, 1.0])
def test_every_way_is_the_same_product(height: float, way: Way) -> None:
    x, params = images(0.2, height), given()
    wanted = F.conv2d(x, params["weight"], params["bias"])
    layer = use(way)
    torch.testing.assert_close(layer(OP, {"x": x}, params), wanted, rtol=1e-4, atol=1e-4)
    grad, packed = torch.randn_like(wanted), layer.pack(OP, x)
    assert (packed is not None) == (way == "lookup" and height == 1.0)
    names = frozenset({"x", "weight", "bias"})
    found = layer.adjoint(OP, {"x": x if packed is None else packed}, params, grad, names, out=x.clone())
    plain = ADJOINTS[Conv2d](OP, {"x": x}, params, grad, names)
    assert found.keys() == names
    for name in names:  # sums of up to 1,280 terms in another order
        torch.testing.assert_close(found[name], plain[name], rtol=1e-4, atol=1e-3)


def test_with_a_graph_it_is_a_product_of_torch() -> None:
    params = {name: x.requires_grad_() for name, x in given().items()}
    y = use("lookup")(OP, {"x": images(0.2)}, params)
    assert all(x.grad is None for x in params.values())
    y.sum().backward()
    assert all(x.grad is not None for x in params.values())
