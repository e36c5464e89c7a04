"""How far our functions are from what is true, in units in the last place (ulp).

They are interpreted, which rounds each operation as compiled code does. In float64, exp and log are the
interpreter's here, which are NumPy's and differ between processors, and NVIDIA's there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pytest
import torch
from cuda_calls import WITH_TRITON

pytestmark = WITH_TRITON

Wide = np.longdouble

TRUE: Final[dict[str, Callable[[Any], Any]]] = {
    "exp": np.exp,
    "log": np.log,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "atan": np.arctan,
    "sqrt": np.sqrt,
}

ULPS: Final = {
    "float32": {"exp": 1.0, "log": 0.9, "sigmoid": 2.4, "tanh": 1.3, "atan": 2.4, "sqrt": 0.5},
    "float64": {"exp": 1.0, "log": 1.0, "sigmoid": 2.4, "tanh": 1.4, "atan": 1.0, "sqrt": 0.5},
}
"""The largest error of each; `docs/cuda.md` shows them."""

NUMPYS: Final = {("exp", "float64"), ("log", "float64")}
"""Those that are not ours."""

EDGES: Final = {
    "float32": (-103.97208, -103.28, -87.33655, 88.72283, 0.625, 0.41421357, 2.4142137, 0.70710677),
    "float64": (
        -745.1332191,
        -708.3964,
        709.782712893384,
        0.625,
        0.66,
        2.414213562373095,
        0.7071067811865476,
    ),
}
"""Where a function overflows, underflows, or goes over from one way of computing to another."""


def points(dtype: str, seed: int, count: int) -> np.ndarray[Any, Any]:
    """Numbers of all magnitudes, and more of where neurons live; the special ones come first."""
    found = np.random.default_rng(seed)
    kind = np.finfo(np.dtype(dtype))
    special = [0.0, np.inf, np.nan, 1.0, 0.5, kind.tiny, kind.smallest_subnormal, kind.max, *EDGES[dtype]]
    first = np.array([*special, *(-x for x in special)], dtype)
    with np.errstate(all="ignore"):
        around = [first, *(np.nextafter(first, np.array(to, dtype)) for to in (np.inf, 0))]
    bits = found.integers(0, 256, count // 2 * first.itemsize, dtype=np.uint8).view(dtype)
    ends = 760.0 if dtype == "float64" else 110.0
    wide, narrow = (found.uniform(-end, end, count // 4).astype(dtype) for end in (ends, 3.0))
    all_ = np.concatenate([*around, bits, wide, narrow])[:count]
    return np.asarray(all_)


def ours(name: str, dtype: str, *operands: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """One of our functions of blocks, as a kernel that does nothing else."""
    from snnhw_cuda.kernel import compiled
    from snnhw_cuda.triton_pieces import head

    given = [f"in{k}" for k in range(len(operands))]
    loads = ", ".join(f"tl.load({place} + at)" for place in given)
    code = (
        f"@triton.jit\ndef kernel({', '.join(given)}, out, BLOCK: tl.constexpr):\n"
        f"    at = tl.arange(0, BLOCK)\n    tl.store(out + at, {name}({loads}))\n"
    )
    out = torch.empty(len(operands[0]), dtype=getattr(torch, dtype))
    kernel = compiled(head(dtype, code) + code, "kernel", interpreted=True)
    kernel(1, [*map(torch.from_numpy, operands), out], BLOCK=len(operands[0]))
    return np.asarray(out.numpy())


def errors(found: np.ndarray[Any, Any], true: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """In ulp of what is right; infinite for a wrong sign, and where but one of the two is finite."""
    right = true.astype(found.dtype)
    finite = np.isfinite(right) & np.isfinite(found)
    same = (found == right) | (np.isnan(found) & np.isnan(right))
    unit = np.abs(np.spacing(np.where(finite, right, 1))).astype(Wide)
    distance = np.abs(np.where(finite, found.astype(Wide) - true, 0)) / unit
    signs = np.isnan(right) | (np.signbit(found) == np.signbit(right))
    return np.asarray(np.where((finite | same) & signs, distance, np.inf).astype(float))


def worst(name: str, dtype: str, seed: int = 0, count: int = 1 << 16) -> tuple[float, float]:
    """The largest error, and where."""
    x = points(dtype, seed, count)
    with np.errstate(all="ignore"):
        found = errors(ours(name, dtype, x), TRUE[name](x.astype(Wide)))
    return float(found.max()), float(x[found.argmax()])


@pytest.mark.skipif(np.finfo(Wide).nmant < 60, reason="no numbers wider than float64 are known here")
@pytest.mark.parametrize("dtype", ULPS)
@pytest.mark.parametrize("name", TRUE)
def test_a_function_is_as_near_as_it_says(name: str, dtype: str) -> None:
    error, where = worst(name, dtype)
    assert error <= ULPS[dtype][name], where
    if (name, dtype) not in NUMPYS:
        assert error > 0.75 * ULPS[dtype][name]  # and the bound says something


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ULPS)
@pytest.mark.parametrize("name", TRUE)
def test_a_function_is_as_near_at_millions_of_points(name: str, dtype: str) -> None:
    for seed in range(1, 33):
        error, where = worst(name, dtype, seed, 1 << 18)
        assert error <= ULPS[dtype][name], where


@pytest.mark.parametrize("dtype", ULPS)
def test_a_quotient_is_rounded_once(dtype: str) -> None:
    x, y = (points(dtype, seed, 1 << 16) for seed in (0, 1))
    y[:100] = y[:100][::-1]
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(ours("div", dtype, x, y), x / y)


@pytest.mark.parametrize("dtype", ULPS)
def test_minimum_and_maximum_let_a_nan_through_and_take_the_second_of_equals(dtype: str) -> None:
    special = np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-40], dtype)
    x, y = (z.flatten() for z in np.meshgrid(special, special))
    with np.errstate(all="ignore"):
        least = np.where((x < y) | np.isnan(x), x, y)
        most = np.where((x > y) | np.isnan(x), x, y)
    for name, right in (("minimum", least), ("maximum", most)):
        found = ours(name, dtype, x, y)
        np.testing.assert_array_equal(found, right)
        np.testing.assert_array_equal(np.signbit(found), np.signbit(right))
