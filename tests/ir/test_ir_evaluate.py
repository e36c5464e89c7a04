"""Running expressions with NumPy, in either precision."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from ir_strategies import CALM, expressions

from snnhw.errors import ExpressionError
from snnhw.ir import (
    PRIMITIVES,
    Expr,
    evaluate,
    graft,
    greater,
    maximum,
    minimum,
    nearest,
    numpy_namespace,
    variables,
    where,
)
from snnhw.ir import expr as ex

a, b, c = variables("a b c")

Singles = npt.NDArray[np.float32]


def single(*values: Any) -> Singles:
    return np.array(values, np.float32)


DOUBLE, SINGLE = numpy_namespace(np.float64), numpy_namespace(np.float32)

MEANING: dict[str, tuple[Expr, Callable[[float, float], float]]] = {
    "add": (a + b, lambda a, b: a + b),
    "sub": (a - b, lambda a, b: a - b),
    "mul": (a * b, lambda a, b: a * b),
    "div": (a / b, lambda a, b: a / b),
    "floordiv": (a // b, lambda a, b: math.floor(a / b)),
    "neg": (-a, lambda a, b: -a),
    "abs": (abs(a), lambda a, b: abs(a)),
    "exp": (ex.exp(a), lambda a, b: math.exp(a)),
    "log": (ex.log(abs(a)), lambda a, b: math.log(abs(a))),
    "sqrt": (ex.sqrt(abs(a)), lambda a, b: math.sqrt(abs(a))),
    "sigmoid": (ex.sigmoid(a), lambda a, b: 1 / (1 + math.exp(-a))),
    "tanh": (ex.tanh(a), lambda a, b: math.tanh(a)),
    "atan": (ex.atan(a), lambda a, b: math.atan(a)),
    "minimum": (minimum(a, b), min),
    "maximum": (maximum(a, b), max),
    "greater": (where(greater(a, b), 1.0, 0.0), lambda a, b: float(a > b)),
    "where": (where(a > b, a * 2, b * 3), lambda a, b: a * 2 if a > b else b * 3),
    "nearest": (nearest(a, "levels"), lambda a, b: min([-1.0, 0.25, 2.0], key=lambda level: abs(a - level))),
    "graft": (graft(a * b, {a: 7.0}), lambda a, b: a * b),
}
LEVELS = [-1.0, 0.25, 2.0]


def env(kind: Any) -> dict[str, Any]:
    points = [(-2.5, 1.25), (0.75, -0.5), (3.0, 3.0), (-0.125, 0.125)]
    left, right = np.array(points, kind).T
    return {"a": left, "b": right, "levels": np.array(LEVELS, kind)}


def test_every_primitive_is_tried() -> None:
    assert set(MEANING) == set(PRIMITIVES) - {"const", "var"}
    assert set(DOUBLE) == set(PRIMITIVES) - {"var"}


@pytest.mark.parametrize("op", MEANING)
def test_what_an_op_computes(op: str) -> None:
    root, meaning = MEANING[op]
    given_ = env(np.float64)
    (found,) = evaluate([root], given_, DOUBLE)
    wanted = [meaning(x, y) for x, y in zip(given_["a"], given_["b"], strict=True)]
    np.testing.assert_allclose(found, wanted, rtol=1e-15)


@pytest.mark.parametrize("op", MEANING)
@pytest.mark.parametrize("scalar", [False, True], ids=["arrays", "scalars"])
def test_float32_stays_float32(op: str, scalar: bool) -> None:
    given_ = env(np.float32)
    if scalar:
        given_ |= {"a": np.float32(0.75), "b": np.float32(-0.5)}
    (found,) = evaluate([0.1 * MEANING[op][0] + 1 / (3.0 + a * a)], given_, SINGLE)
    assert np.asarray(found).dtype == np.float32


@CALM
@given(expressions())
def test_float32_stays_float32_in_any_expression(root: Expr) -> None:
    given_ = {"a": single(0.5, -1), "b": np.float32(2.0), "c": single([1], [3])}
    with np.errstate(all="ignore"):
        (found,) = evaluate([root], given_ | {"levels": single(*LEVELS)}, SINGLE)
    assert np.asarray(found).dtype == np.float32


def test_constants_are_rounded_to_the_compute_dtype_first() -> None:
    single = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    (found,) = evaluate([0.1 * a], {"a": single}, SINGLE)
    np.testing.assert_array_equal(found, np.float32(0.1) * single)
    widened = (0.1 * single.astype(np.float64)).astype(np.float32)
    assert (found != widened).any()  # so that the line above says something


@CALM
@given(st.tuples(*[st.floats(-(2.0**60), 2.0**60, width=32)] * 3))
def test_the_order_of_operations_is_the_order_of_rounding(point: tuple[float, ...]) -> None:
    x, y, z = (np.float32(number) for number in point)
    roots = [a + b + c, a + (b + c), a * b - c, (a - b) * c]
    found = evaluate(roots, {"a": x, "b": y, "c": z}, SINGLE)
    assert found == [(x + y) + z, x + (y + z), x * y - z, (x - y) * z]


def test_shared_parts_are_computed_once() -> None:
    calls = []

    def counted(x: float) -> float:
        calls.append(x)
        return math.exp(x)

    part = ex.exp(a)
    evaluate([part * part + part, part], {"a": 1.0}, {**DOUBLE, "exp": counted})
    assert calls == [1.0]


def test_sigmoid_never_overflows() -> None:
    with np.errstate(all="raise", under="ignore"):
        (found,) = evaluate([ex.sigmoid(a)], {"a": np.array([-1e4, -800.0, 800.0, 1e4])}, DOUBLE)
    np.testing.assert_array_equal(found, [0.0, 0.0, 1.0, 1.0])


def test_values_broadcast() -> None:
    (found,) = evaluate([a * b], {"a": np.ones((2, 1)), "b": np.arange(3.0)}, DOUBLE)
    assert found.shape == (2, 3)


def test_a_missing_value_is_named() -> None:
    with pytest.raises(ExpressionError, match="no value was given for 'b'; given: a, c"):
        evaluate([a + b], {"c": 1.0, "a": 1.0}, DOUBLE)
    with pytest.raises(ExpressionError, match="no value was given for 'levels'; given: a"):
        evaluate([nearest(a, "levels")], {"a": 1.0}, DOUBLE)
    with pytest.raises(ExpressionError, match="no value was given for 'a'; given: none"):
        evaluate([a], {}, DOUBLE)


# -- nearest: the least rounded difference, the lower index at a tie --------------------------------


def nearest_by_hand(x: np.float32, table: Singles) -> np.float32:
    best = 0
    for index in range(1, len(table)):
        if abs(np.float32(x - table[index])) < abs(np.float32(x - table[best])):
            best = index
    return np.float32(table[best])


@CALM
@given(st.lists(st.floats(-8, 8, width=32), min_size=1, max_size=9, unique=True), st.data())
def test_nearest_at_midpoints_and_one_ulp_off(levels: list[float], data: st.DataObject) -> None:
    table = single(*levels)
    left, right = (data.draw(st.sampled_from(levels)) for _ in range(2))
    middle = np.float32((left + right) / 2)
    up, down = np.nextafter(middle, np.float32(99)), np.nextafter(middle, np.float32(-99))
    points = np.array([middle, up, down, np.float32(left)], np.float32)
    (found,) = evaluate([nearest(a, "table")], {"a": points, "table": table}, SINGLE)
    assert found.tolist() == [nearest_by_hand(point, table) for point in points]


@pytest.mark.parametrize(
    ("levels", "chosen"), [([0.0, 1.0], 0.0), ([1.0, 0.0], 1.0), ([3.0, 1.0, 0.0, 1.0], 1.0)]
)
def test_the_lower_index_wins_a_tie(levels: list[float], chosen: float) -> None:
    found = evaluate([nearest(a, "t")], {"a": np.float32(0.5), "t": single(*levels)}, SINGLE)
    assert found == [chosen]


@pytest.mark.parametrize("levels", [(-1.0, 0.5, 2.0), (2.0, -1.0, 0.5)])
def test_beyond_the_levels_it_is_the_last_one(levels: tuple[float, ...]) -> None:
    """Where distances round to one number, and where they are infinite."""
    far = single(3, -3, 1e9, -1e9, np.inf, -np.inf)
    (found,) = evaluate([nearest(a, "t")], {"a": far, "t": single(*levels)}, SINGLE)
    assert found.tolist() == [2, -1, 2, -1, 2, -1]


@CALM
@given(expressions(smooth=True), st.integers(0, 2**32))
def test_one_value_at_a_time_gives_the_same(root: Expr, seed: int) -> None:
    inexact = {"exp", "log", "sigmoid", "tanh", "atan"}  # NumPy's vary with the position in an array
    assume(not inexact & {node.op for node in ex.topological([root])})
    arrays = dict(zip("abc", np.random.default_rng(seed).normal(size=(3, 17)), strict=True))
    with np.errstate(all="ignore"):
        (together,) = evaluate([root], arrays, DOUBLE)
        single = [evaluate([root], {k: v[i] for k, v in arrays.items()}, DOUBLE)[0] for i in range(17)]
    np.testing.assert_array_equal(np.broadcast_to(together, 17), single)
