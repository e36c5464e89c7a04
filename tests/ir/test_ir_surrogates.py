"""Surrogates as values: checked, comparable, and derivatives as expressions."""

from __future__ import annotations

import copy
import math
import pickle
from dataclasses import FrozenInstanceError, dataclass
from typing import Any

import numpy as np
import pytest

from snnhw.errors import InputError
from snnhw.ir import (
    LSO,
    NOISE,
    SFS,
    SSO,
    SURROGATES,
    ATan,
    Custom,
    Expr,
    FastSigmoid,
    Gaussian,
    Heaviside,
    Opaque,
    Sigmoid,
    SpikeRateEscape,
    StraightThrough,
    Surrogate,
    Triangle,
    Triangular,
    const,
    evaluate,
    gradient,
    heaviside,
    nearest,
    numpy_namespace,
    spike,
    var,
)

z = var("z")
POINTS = np.array([-3.0, -0.1, 0.0, 0.1, 3.0])


def derivative(surrogate: Surrogate) -> Any:
    env = {"z": POINTS, NOISE: np.full(5, 0.75)}
    return evaluate([surrogate.derivative(z) + 0.0 * z], env, numpy_namespace())[0]


FORMULAS = {
    ATan(): 1.0 / (1 + (math.pi * POINTS) ** 2),
    ATan(0.5): 0.25 / (1 + (math.pi * 0.25 * POINTS) ** 2),
    Custom(): 1 / (1 + np.abs(POINTS)) ** 2,
    Custom(2.0 * z * z): 2 * POINTS**2,
    FastSigmoid(): 1 / (1 + 25 * np.abs(POINTS)) ** 2,
    FastSigmoid(2): 1 / (1 + 2 * np.abs(POINTS)) ** 2,
    Gaussian(): np.exp(-2 * POINTS**2) / math.sqrt(math.pi / 2),
    Gaussian(3): np.exp(-(POINTS**2) / 18) / (3 * math.sqrt(2 * math.pi)),
    Heaviside(): np.array([0.0, 0, 0, 1, 1]),
    LSO(): np.array([0.1, 0.1, 0.1, 1, 1]),
    LSO(0.5): np.array([0.5, 0.5, 0.5, 1, 1]),
    SSO(): np.array([0.05, 0.05, 0.05, 1, 1]),
    SSO(0.5, 2): np.array([1.5, 1.5, 1.5, 1, 1]),
    SFS(): np.array([0, 0, 0, 0, 1 / 76**2]),
    SFS(2, -0.5): np.array([0, 1 / 1.2**2, 1, 1 / 1.2**2, 1 / 49]),
    Sigmoid(): 25 / (4 * np.cosh(12.5 * POINTS) ** 2),
    Sigmoid(4): 1 / np.cosh(2 * POINTS) ** 2,
    SpikeRateEscape(): 25 * np.exp([-4, -1.1, -1, -0.9, -2]),
    SpikeRateEscape(2, 3, centre=0): 3 * np.exp(-2 * np.abs(POINTS)),
    StraightThrough(): np.ones(5),
    Triangle(): np.array([0, 0.9, 1, 0.9, 0]),
    Triangle(0.2, 0.3): np.array([0, 0.15, 0.3, 0.15, 0]),
    Triangular(): np.array([1.0, 1, -1, -1, -1]),
    Triangular(3): np.array([3.0, 3, -3, -3, -3]),
}


@pytest.mark.parametrize(("surrogate", "values"), FORMULAS.items(), ids=map(repr, FORMULAS))
def test_derivatives_are_those_of_their_docstrings(surrogate: Surrogate, values: Any) -> None:
    np.testing.assert_allclose(derivative(surrogate), values, rtol=1e-14)


def test_every_surrogate_has_a_formula_above() -> None:
    assert {type(surrogate) for surrogate in FORMULAS} == set(SURROGATES.values())
    assert all(SURROGATES[name].__name__ == name for name in SURROGATES)


NUMBERS = [0.0, 1e-45, 1e-30, 0.1, 1.0, 3.5, 88.0, 1e4, 1e30, float(np.finfo(np.float32).max)]


@pytest.mark.parametrize("surrogate", [s for s in FORMULAS if s != Custom(2.0 * z * z)], ids=repr)
def test_derivatives_are_finite_at_every_finite_number(surrogate: Surrogate) -> None:
    points = np.array([sign * number for number in NUMBERS for sign in (1, -1)], np.float32)
    with np.errstate(over="ignore"):  # one divided by infinity is as good as any small number
        env = {"z": points, NOISE: np.full_like(points, 0.75)}
        (found,) = evaluate([surrogate.derivative(z)], env, numpy_namespace(np.float32))
    assert np.isfinite(found).all()
    assert found.dtype == np.float32


def test_a_sigmoid_keeps_its_digits_on_both_sides() -> None:
    points = np.array([-2.0, 2.0], np.float32)
    (found,) = evaluate([Sigmoid().derivative(z)], {"z": points}, numpy_namespace(np.float32))
    np.testing.assert_allclose(found, 25 * math.exp(-50), rtol=1e-6)


@pytest.mark.parametrize("surrogate", [*FORMULAS, None], ids=repr)
def test_a_spike_is_strict_whatever_its_surrogate(surrogate: Surrogate | None) -> None:
    env = {"z": np.array([-1.0, -0.0, 0.0, 5e-324, 1.0]), NOISE: np.full(5, 0.75)}
    (found,) = evaluate([spike(z, surrogate)], env, numpy_namespace())
    assert found.tolist() == [0, 0, 0, 1, 1]


@pytest.mark.parametrize("surrogate", FORMULAS, ids=repr)
def test_the_gradient_of_a_spike_is_the_surrogates(surrogate: Surrogate) -> None:
    seed = var("g")
    assert gradient([spike(z, surrogate)], [seed], [z]) == [seed * surrogate.derivative(z)]


def test_without_a_surrogate_no_gradient_passes() -> None:
    assert gradient([spike(z, None)], [var("g")], [z]) == [const(0.0)]


def test_a_call_on_an_expression_is_a_spike() -> None:
    assert ATan()(z) is spike(z, ATan())
    assert ATan.apply(z, 3.0) is spike(z, ATan(3.0))
    assert StraightThrough.apply(z).args[0] is heaviside(z)


def test_values() -> None:
    assert ATan(2) == ATan(2.0) == ATan(alpha=2.0)
    assert hash(ATan(2)) == hash(ATan(2.0))
    assert len({ATan(), ATan(1.0), FastSigmoid(), StraightThrough()}) == 4
    assert repr(ATan(2)) == "ATan(alpha=2.0)"
    assert repr(FastSigmoid()) == "FastSigmoid(slope=25.0)"


@pytest.mark.parametrize("surrogate", FORMULAS, ids=repr)
def test_copies_are_equal(surrogate: Surrogate) -> None:
    for again in (copy.deepcopy(surrogate), pickle.loads(pickle.dumps(surrogate))):
        assert again == surrogate
        assert hash(again) == hash(surrogate)
        assert again.derivative(z) is surrogate.derivative(z)


def test_immutable() -> None:
    with pytest.raises(FrozenInstanceError):
        ATan().alpha = 3.0  # type: ignore[misc]  # that this is an error is the point


@pytest.mark.parametrize(
    ("value", "shown"), [(math.nan, "nan"), (math.inf, "inf"), ("2", "'2'"), (True, "True"), (None, "None")]
)
def test_settings_are_finite_numbers(value: Any, shown: str) -> None:
    with pytest.raises(InputError, match=rf"ATan\(alpha={shown}\): give a finite number"):
        ATan(value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: FastSigmoid(-1), r"FastSigmoid\(slope=-1.0\): give a number of 0 or more"),
        (lambda: SFS(slope=-2), r"SFS\(slope=-2.0\): give a number of 0 or more"),
        (lambda: SpikeRateEscape(-1), r"SpikeRateEscape\(beta=-1.0\): give a number of 0 or more"),
        (lambda: Gaussian(0), r"Gaussian\(sigma=0.0\): give a number greater than 0"),
        (lambda: Triangle(width=0), r"Triangle\(width=0.0\): give a number greater than 0"),
    ],
)
def test_settings_that_would_not_be_finite_everywhere(call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


def test_a_setting_beyond_all_floats() -> None:
    with pytest.raises(InputError, match=r"FastSigmoid\(slope=1000.*\): give a finite number"):
        FastSigmoid(10**400)


@pytest.mark.parametrize("value", [1.0, "z", None, np.zeros(3)])
def test_what_is_neither_an_expression_nor_a_known_array(value: Any) -> None:
    kind = type(value).__name__
    with pytest.raises(
        InputError, match=f"takes an expression or a torch tensor, not {kind}; for tensors import"
    ):
        ATan()(value)


def test_the_base_is_no_surrogate() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Surrogate()  # type: ignore[abstract]  # that this is an error is the point


def test_a_surrogate_of_ones_own() -> None:
    @dataclass(frozen=True)
    class Box(Surrogate):
        width: float = 1.0

        def derivative(self, z: Expr) -> Expr:
            return heaviside(self.width - abs(z))

    assert derivative(Box(2)).tolist() == [0, 1, 1, 1, 0]
    assert Box(2) == Box(2.0)


@pytest.mark.parametrize(
    ("slope", "message"),
    [
        (2.0, "give an expression of z, a number"),
        (z > 0, "give an expression of z, a number"),
        (z * var("beta"), "give an expression of the variable z and of nothing else"),
        (nearest(z, "levels"), "give an expression of the variable z and of nothing else"),
        (sum((z * float(n) for n in range(3, 2500)), z), "give at most 4096 operations"),
    ],
)
def test_what_is_no_derivative(slope: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Custom(slope)


def test_an_expression_as_a_surrogate_says_what_it_is() -> None:
    assert repr(Custom(1.0 / (1.0 + z * z))) == "Custom(slope=1 / (1 + z * z))"


def test_a_function_is_opaque_to_equations_and_changes_no_spike() -> None:
    own = Opaque(len, "mine (a.py, line 3)", "it clips")
    assert repr(own) == "Opaque(mine (a.py, line 3))"
    assert gradient([spike(z, own)], [const(1.0)], [z]) == [const(0.0)]
    with pytest.raises(InputError, match=r"Opaque\(function=3\): give a function of a tensor"):
        Opaque(3, "", "")  # type: ignore[arg-type]  # that this is an error is the point
