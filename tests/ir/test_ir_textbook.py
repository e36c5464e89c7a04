"""Textbook neurons: what a step in seconds does, under each scheme."""

from __future__ import annotations

from math import exp

import pytest

from snnhw.errors import InputError
from snnhw.ir import MODELS, Expr, Neuron, evaluate, numpy_namespace
from snnhw.ir.models.textbook import SCHEMES, TEXTBOOK, textbook

VALUES = {
    "x": 3.0,
    "mem": 0.4,
    "syn": 0.2,
    "dt": 1e-3,
    "tau": 4e-3,
    "tau_mem": 4e-3,
    "tau_syn": 2e-3,
    "r": 1.5,
    "v_leak": 0.1,
    "w_in": 2.0,
    "v_threshold": 1.0,
    "v_reset": -0.5,
}


def after(kind: str, scheme: str = "euler", state: str = "mem", **values: float) -> float:
    (value,) = evaluate([textbook(kind, scheme).integrate[state]], VALUES | values, numpy_namespace())
    return float(value)


SHARES = {"euler": (0.25, 0.5), "exponential": (1 - exp(-0.25), 1 - exp(-0.5))}
"""Scheme -> what a membrane and a current take in within a step."""


@pytest.mark.parametrize("scheme", SHARES)
def test_a_leaky_membrane(scheme: str) -> None:
    share, _ = SHARES[scheme]
    expected = (1 - share) * 0.4 + 1.5 * share * 3.0 + share * 0.1
    assert after("LI", scheme) == after("LIF", scheme) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_current_before_the_membrane(scheme: str) -> None:
    share, share_syn = SHARES[scheme.removesuffix("_old")]
    current = (1 - share_syn) * 0.2 + 2.0 * share_syn * 3.0
    drive = 0.2 if scheme.endswith("_old") else current
    assert after("CubaLI", scheme, "syn") == pytest.approx(current, rel=1e-14)
    assert after("CubaLIF", scheme) == pytest.approx((1 - share) * 0.4 + 1.5 * share * drive + share * 0.1)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_integrator_has_nothing_to_leak(scheme: str) -> None:
    assert after("I", scheme) == after("IF", scheme) == pytest.approx(0.4 + 1.5e-3 * 3.0, rel=1e-14)


def test_a_constant_input_leads_to_where_the_equation_comes_to_rest() -> None:
    rest = 0.1 + 1.5 * 3.0
    for scheme in SCHEMES:
        assert after("LI", scheme, mem=rest) == pytest.approx(rest, rel=1e-14)


@pytest.mark.parametrize(("kind", "expected"), [("to_value", -0.5), ("subtract", 0.4)])
def test_a_spike_resets_within_the_step(kind: str, expected: float) -> None:
    step = Neuron(textbook("LIF"), reset=kind, timing="immediate", surrogate=None).equations()
    roots: list[Expr] = [step.outputs["spk"], step.updates["mem"]]
    assert evaluate(roots, VALUES | {"mem": 1.7, "r": 0.4 / 3}, numpy_namespace()) == [
        1.0,
        pytest.approx(expected, abs=0.02),
    ]


def test_one_scheme_is_registered_and_the_others_have_names_of_their_own() -> None:
    assert all(MODELS[kind] == textbook(kind) for kind in TEXTBOOK)
    names = [textbook("CubaLIF", scheme).name for scheme in SCHEMES]
    assert names == ["CubaLIF", "CubaLIFExponential", "CubaLIFOld", "CubaLIFExponentialOld"]


def test_an_unknown_scheme() -> None:
    with pytest.raises(InputError) as caught:
        textbook("LIF", "rk4")
    assert str(caught.value) == (
        "there is no textbook neuron 'LIF' with scheme 'rk4'; neurons: I, IF, LI, LIF, CubaLI, CubaLIF; "
        "schemes: euler, exponential, euler_old, exponential_old"
    )
