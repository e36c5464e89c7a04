"""Numbers that refuse to be rounded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from snnhw.parity.rounding.dyadic import NOWHERE, Dyadic, NotExact


def exactly(*values: float) -> np.ndarray:
    return np.array([Dyadic.of(value) for value in values], object)


@pytest.mark.parametrize(
    ("value", "grid"), [(1.0, 0), (0.75, -2), (-6.0, 1), (0.0, NOWHERE), (2.0**-20, -20), (5.0, 0)]
)
def test_a_number_lies_on_the_grid_of_its_lowest_bit(value: float, grid: int) -> None:
    assert Dyadic.of(value).grid == grid


def test_a_sum_remembers_what_it_is_made_of() -> None:
    total = Dyadic.of(0.75) - 0.5
    assert (total.value, total.bound, total.grid) == (0.25, 1.25, -2)
    assert total.largest == 5  # 1.25 in quarters


def test_cancellation_does_not_hide_what_was_cancelled() -> None:
    total = exactly(2.0**20, 2.0**-4, -(2.0**20)).sum
    with pytest.raises(NotExact, match="needs more than 24 bits"):
        total()


def test_products_multiply_bounds_and_add_grids() -> None:
    product = (Dyadic.of(1.5) - 1.0) * Dyadic.of(0.25)
    assert (product.value, product.bound, product.grid) == (0.125, 0.625, -3)


def test_a_history_is_kept() -> None:
    number = (Dyadic.of(3.0) * 0.125 + 1.0) * 8.0
    assert number.finest == -3
    assert number.largest == 11


@pytest.mark.parametrize(
    "rounding",
    [
        lambda x: x / 3.0,
        lambda x: x / Dyadic.of(0.75),
        lambda x: 1.0 / (x - 0.5 + 1.0),  # a power of two, but made of parts that are not all one sign
        lambda x: np.exp(np.array([x], object)),
        lambda x: Dyadic.of(float("inf")),
        lambda x: x * 2.0**-130,
    ],
)
def test_what_may_round_is_refused(rounding: Callable[[Dyadic], object]) -> None:
    with pytest.raises(NotExact):
        rounding(Dyadic.of(1.5))


def test_division_by_a_power_of_two_is_exact() -> None:
    assert float(Dyadic.of(3.0) / -4.0) == -0.75


def test_numpy_computes_with_them() -> None:
    a, b = exactly(1.0, 2.0, -0.5), exactly(0.5, 0.25, 4.0)
    assert float(a @ b) == -1.0
    assert list(np.maximum(a, b)) == [1.0, 2.0, 4.0]
    assert list(np.where(a > b, a, 0.0)) == [1.0, 2.0, 0.0]
    assert float(np.abs(a).sum()) == 3.5
    assert a.argmax() == 1


def test_one_of_them_meets_an_array_of_them() -> None:
    one: Any = Dyadic.of(2.0)
    many = exactly(1.0, -0.5)
    assert np.array_equal(one * many, [2.0, -1.0])
    assert np.array_equal(one - many, [1.0, 2.5])
    assert np.array_equal(one > many, [True, True])
    assert one > float("-inf")


def test_whatever_it_accepts_is_the_same_in_float32_in_any_order() -> None:
    generator = np.random.default_rng(0)
    terms = generator.integers(-40, 41, 200) / 8
    weights = generator.integers(-8, 9, 200) / 4
    exact = float(exactly(*terms) @ exactly(*weights))
    for _ in range(20):
        order = generator.permutation(200)
        total = np.float32(0)
        for term, weight in zip(terms[order], weights[order], strict=True):
            total = np.float32(total + np.float32(np.float32(term) * np.float32(weight)))
        assert float(total) == exact
