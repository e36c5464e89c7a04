"""Textbook neurons: integrators and integrate-and-fire neurons as differential equations in seconds.

    I         v' = r x
    LI        tau v' = v_leak - v + r x
    CubaLI    tau_syn i' = -i + w_in x;  tau_mem v' = v_leak - v + r i
    IF, LIF, CubaLIF    the same; they fire where v > v_threshold, and are set to v_reset at once

`textbook` gives each of them under a named scheme, which says what one step of ``dt`` seconds does.
With ``leak`` for ``dt / tau`` (Euler's rule) or ``1 - exp(-dt / tau)`` (exact where the input holds
still for the step), a step of a membrane is

    v <- (1 - leak) v + (r leak) x + leak v_leak

A current-based neuron integrates its current first and its membrane from the new current, or, in the
schemes called ``_old``, from the current before the step.

Source: the Neuromorphic Intermediate Representation, J. E. Pedersen et al., Nature Communications 15,
8122, 2024, table 1; A. Rotter and M. Diesmann, Biol. Cybern. 81, 1999, for the exact integration.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from snnhw.errors import InputError
from snnhw.ir.expr import Expr, exp, stop_gradient, variables
from snnhw.ir.frozen import FrozenMap
from snnhw.ir.models.family import SPIKE, NeuronModel, register
from snnhw.ir.params import Param, State

__all__ = ["SCHEMES", "TEXTBOOK", "textbook"]

mem, syn, x, dt = variables("mem syn x dt")
tau, tau_mem, tau_syn, r, w_in = variables("tau tau_mem tau_syn r w_in")
v_leak, v_reset, v_threshold = variables("v_leak v_reset v_threshold")

SCHEMES: Final = ("euler", "exponential", "euler_old", "exponential_old")
"""How a step is taken."""

TEXTBOOK: Final = ("I", "IF", "LI", "LIF", "CubaLI", "CubaLIF")
"""The neurons; a name in ``F`` fires."""

PARAMS: Final = {
    "tau": Param("tau", 0.02, low=0.0, about="time constant of the membrane, in seconds"),
    "tau_syn": Param("tau_syn", 0.01, low=0.0, about="time constant of the current, in seconds"),
    "tau_mem": Param("tau_mem", 0.02, low=0.0, about="time constant of the membrane, in seconds"),
    "r": Param("r", 5.0, about="resistance: what the input is multiplied by"),
    "v_leak": Param("v_leak", 0.0, about="where the membrane comes to rest"),
    "w_in": Param("w_in", 5.0, about="what arrives at the current is multiplied by this"),
    "v_threshold": Param("v_threshold", 1.0, about="the neuron fires where mem > v_threshold"),
    "v_reset": Param("v_reset", 0.0, about="what the membrane is after a spike"),
}
"""Gains are by default such that inputs of about 1 make a neuron fire within some milliseconds."""

PURE: Final = Param("r", 100.0, about="what the input is multiplied by, per second")
"""The gain of an integrator without a leak."""


class _Leak(NamedTuple):
    """What a step leaves of a state, and the share of its drive that it takes in."""

    decay: Expr
    share: Expr


def _leak(time_constant: Expr, *, exact: bool) -> _Leak:
    if exact:
        decay = exp(-(dt / time_constant))
        return _Leak(decay, 1.0 - decay)  # so that a constant input leads to exactly r x + v_leak
    share = dt / time_constant
    return _Leak(1.0 - share, share)


def _membrane(time_constant: Expr, drive: Expr, *, exact: bool) -> Expr:
    decay, share = _leak(time_constant, exact=exact)
    return decay * mem + (r * share) * drive + share * v_leak


def _equations(kind: str, *, exact: bool, old: bool) -> tuple[dict[str, Expr], str]:
    """State -> next value, and the names of the parameters."""
    if kind == "I":
        return {"mem": mem + (r * dt) * x}, "r"
    if kind == "LI":
        return {"mem": _membrane(tau, x, exact=exact)}, "tau r v_leak"
    decay, share = _leak(tau_syn, exact=exact)
    current = decay * syn + (w_in * share) * x
    after = _membrane(tau_mem, syn if old else current, exact=exact)
    return {"syn": current, "mem": after}, "tau_syn tau_mem r v_leak w_in"


def textbook(kind: str, scheme: str = "euler") -> NeuronModel:
    """One of `TEXTBOOK` under one of `SCHEMES`; those in which it is the same share one model.

    Its resets: ``to_value``, to ``v_reset``; ``subtract``, of ``v_threshold``. Both act within the step.

    Raises:
        InputError: there is no such neuron or scheme.
    """
    if kind not in TEXTBOOK or scheme not in SCHEMES:
        known = f"neurons: {', '.join(TEXTBOOK)}; schemes: {', '.join(SCHEMES)}"
        raise InputError(f"there is no textbook neuron '{kind}' with scheme '{scheme}'; {known}")
    return _MODELS[kind, scheme]


def _make(kind: str, scheme: str) -> NeuronModel:
    base = kind.removesuffix("F")  # the name that is left of I, LI and CubaLI is the integrator's
    fires, exact, old = base != kind, scheme.startswith("exponential"), scheme.endswith("_old")
    exact, old = exact and base != "I", old and base == "CubaLI"
    equations, names = _equations(base, exact=exact, old=old)
    integrate = FrozenMap(equations)
    h = stop_gradient(SPIKE)  # as R is elsewhere: the way from a membrane to the next leads past the reset
    after = {"subtract": mem - h * v_threshold, "to_value": (1.0 - h) * mem + h * v_reset}
    kinds = tuple(after) if fires else ("none",)
    return NeuronModel(
        name=kind + "Exponential" * exact + "Old" * old,
        states=tuple(State(name) for name in equations),
        params=tuple(
            PURE if names == name else PARAMS[name]
            for name in names.split() + ["v_threshold", "v_reset"] * fires
        ),
        integrate=integrate,
        resets=FrozenMap(dict.fromkeys(kinds, integrate)),
        post=FrozenMap(
            {
                "immediate": FrozenMap(
                    {reset: FrozenMap({"mem": after[reset]} if fires else {}) for reset in kinds}
                )
            }
        ),
        fire=mem - v_threshold if fires else None,
        reset="to_value" if fires else "none",
    )


_MODELS: Final = {(kind, scheme): _make(kind, scheme) for kind in TEXTBOOK for scheme in SCHEMES}

for _kind in TEXTBOOK:
    register(_MODELS[_kind, "euler"])  # conformance holds backends to one scheme; the others vary a prelude
