"""Bits of numbers, and products of bits: exact where sums can be, and of each row alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from snnhw_cpu.costs import SHIPPED, Costs, costs_here, keep
from snnhw_cpu.limits import USUAL, Limits
from snnhw_cpu.lookup import Words, added_rows, looked_up, pack

SIZES = [
    (1, 1, 1),
    (3, 31, 5),
    (33, 64, 16),
    (65, 33, 17),
    (70, 96, 40),
    (129, 130, 64),
    (1100, 37, 65),
    (200, 129, 130),
    (5, 0, 3),
    (0, 5, 3),
    (4, 5, 0),
]
"""Rows, inputs, columns: around a word, a block, a vector and a tile."""

TYPES = [torch.float32, torch.float64]


def packed(x: Tensor) -> Words:
    return pack(x, USUAL.wake)[0]


def dyadic(*shape: int, dtype: torch.dtype) -> Tensor:
    """Whose sums are exact in any order."""
    return torch.randint(-64, 65, shape).to(dtype) / 16


def exact(x: Tensor, w: Tensor, bias: Tensor | None = None) -> Tensor:
    """In whole numbers."""
    found = (x * 2).long() @ (w * 16).long() + (0 if bias is None else (bias * 32).long())
    return (found.double() / 32).to(w.dtype)


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_products_of_bits_are_exact(sizes: tuple[int, int, int], dtype: torch.dtype) -> None:
    rows, inputs, columns = sizes
    torch.manual_seed(0)
    x = (torch.rand(rows, inputs) < 0.3).to(dtype)
    w, bias, grad = (
        dyadic(*shape, dtype=dtype) for shape in ((inputs, columns), (columns,), (rows, columns))
    )
    bits, binary = pack(x, USUAL.wake)
    assert binary
    for limits in (USUAL, Limits(wake=0)):  # one thread and several
        assert torch.equal(looked_up(bits, w, limits, bias), exact(x, w, bias))
        assert torch.equal(looked_up(bits, w, limits), exact(x, w))
        assert torch.equal(added_rows(bits, w, limits, bias), exact(x, w, bias))
        back = bits.turned(limits.wake)
        assert torch.equal(looked_up(back, grad, limits), exact(x.t(), grad))
        assert torch.equal(added_rows(back, grad, limits), exact(x.t(), grad))


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_rows_of_other_numbers_are_multiplied(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = torch.randint(-1, 2, (70, 96)).to(dtype) * 0.5
    w, bias, grad = (dyadic(*shape, dtype=dtype) for shape in ((96, 40), (40,), (70, 40)))
    bits, binary = pack(x, USUAL.wake)
    assert not binary
    assert torch.equal(added_rows(bits, w, USUAL, bias, x), exact(x, w, bias))
    assert torch.equal(added_rows(bits.turned(0), grad, USUAL, None, x.t()), exact(x.t(), grad))


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_a_bit_is_set_where_a_number_is_not_0(sizes: tuple[int, int, int]) -> None:
    x = (torch.rand(sizes[:2]) < 0.5).float()
    bits = packed(x)
    number = torch.arange(sizes[1])
    assert torch.equal((bits.words[number // 32].t() >> (number % 32)) & 1, x.int())
    back = bits.turned(USUAL.wake)
    assert torch.equal(back.words, packed(x.t().contiguous()).words)
    assert (back.rows, back.inputs) == (bits.inputs, bits.rows)


@pytest.mark.parametrize("value", [2.0, -1.0, 0.5, 1e-45, float("nan"), float("inf")])
@pytest.mark.parametrize("at", [0, 33, 66], ids=["first", "middle", "tail"])
def test_whether_all_are_0_or_1_is_seen(value: float, at: int) -> None:
    x = torch.ones(67)
    x[::2] = -0.0
    assert pack(x.view(1, 67), USUAL.wake)[1]
    x[at] = value
    bits, binary = pack(x.view(1, 67), USUAL.wake)
    assert not binary
    assert (int(bits.words[at // 32, 0]) >> at % 32) & 1


def test_a_sum_depends_on_its_row_alone() -> None:
    torch.manual_seed(0)
    x, w = (torch.rand(700, 300) < 0.2).float(), torch.randn(300, 200)
    for product in (looked_up, added_rows):
        whole = product(packed(x), w, USUAL)
        for rows in (slice(1), slice(5, 77), slice(600, 700)):
            for limits in (USUAL, Limits(wake=0)):
                assert torch.equal(product(packed(x[rows]), w, limits), whole[rows])
    grad = torch.randn(700, 200)
    whole = looked_up(packed(x).turned(0), grad, USUAL)
    some = looked_up(packed(x[:, 10:20].contiguous()).turned(0), grad, USUAL)
    assert torch.equal(some, whole[10:20])


@pytest.mark.parametrize("sizes", [(1600, 784, 1000), (3200, 1000, 10)], ids=str)
def test_products_of_real_sizes(sizes: tuple[int, int, int]) -> None:
    rows, inputs, columns = sizes
    torch.manual_seed(0)
    x, w = (torch.rand(rows, inputs) < 0.1).float(), torch.randn(inputs, columns)
    grad, bits = torch.randn(rows, columns), packed(x)
    for found, wanted in (
        (looked_up(bits, w, USUAL), x.double() @ w.double()),
        (added_rows(bits, w, USUAL), x.double() @ w.double()),
        (looked_up(bits.turned(0), grad, USUAL), x.t().double() @ grad.double()),
    ):
        assert (found - wanted).abs().max() < 1e-6 * wanted.abs().max()


def test_the_cheapest_product_depends_on_activity_only_where_it_is_low() -> None:
    def way(rows: int, inputs: int, outputs: int, density: float, kept: bool = False) -> str:
        return SHIPPED.cheapest(("skip", "lookup"), rows, inputs, outputs, density, kept=kept)

    assert way(6400, 784, 1000, 0.01) == "skip"
    assert way(6400, 784, 1000, 0.2) == way(6400, 784, 1000, 0.9) == "lookup"
    assert way(3200, 1000, 10, 0.02) == "dense"  # packing every input costs more than ten products
    assert way(1, 1000, 1000, 0.02) == "dense"  # turning the matrix costs more than one row
    assert way(1, 1000, 1000, 0.02, kept=True) == "skip"
    assert SHIPPED.cheapest(("skip",), 6400, 784, 1000, 0.2, kept=False) == "dense"


def test_costs_are_kept_for_a_processor(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNNHW_CACHE_DIR", str(tmp_path))
    costs_here.cache_clear()
    assert costs_here() == SHIPPED
    measured = Costs(1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    assert keep(measured)
    assert costs_here() == measured
    monkeypatch.setattr("snnhw_cpu.costs.processor", lambda: "another")
    costs_here.cache_clear()
    assert costs_here() == SHIPPED
    costs_here.cache_clear()
