"""Xylo's neurons to be trained: integers on the way there, and the derivatives of floats on the way back.

    X  = x unit / alpha, rounded              alpha, as the chip adds before it decays
    i' = decayed(sat(i + X))                  derivative: alpha
    v' = sat(v + sat(sat(decay of v) + i') + bias)      derivative to v: beta
    n  = how often the threshold goes into v', up to most;    v' - n threshold

Every number here is a whole one below 2^24, which float32 holds. Only spikes that saturate a current one by
one, and not all together, are seen by the chip alone.
"""

from __future__ import annotations

from functools import lru_cache

from snnhw.ir import (
    Expr,
    NeuronModel,
    Param,
    floor,
    graft,
    maximum,
    minimum,
    model,
    saturate,
    variables,
)
from snnhw_chips.xylo_program import BITS, decay

__all__ = ["trained_cells"]

u, v, x, spike = variables("u v x spike")
alpha, beta, bias, threshold, most, unit = variables("alpha beta bias threshold most unit")


def _nearest(value: Expr) -> Expr:
    return floor(value + 0.5)


def _left(state: Expr, share: Expr) -> Expr:
    """A state after its decay; ``1 / (1 - share)`` is the power of two that divides what it loses."""
    return graft(state - decay(state, 1.0 / (1.0 - share)), {state: share})


@lru_cache
def trained_cells() -> NeuronModel:
    """See `snnhw.target.ChipTarget.trained`."""
    arrived = graft(_nearest(x * unit / alpha), {x: unit / alpha})
    current = _left(saturate(u + arrived, BITS), alpha)
    change = saturate(saturate(_left(v, beta) - v + current, BITS) + _nearest(bias * unit), BITS)
    whole = maximum(_nearest(threshold * unit), 1.0)
    count = minimum(v // whole, most)
    return model(
        "ChipPopulation",
        states="u v",
        params=(
            *(Param("alpha"), Param("beta"), Param("bias")),
            *(Param("threshold", 1.0), Param("most", 1.0), Param("unit", 1.0)),
        ),
        integrate={"u": current, "v": saturate(v + change, BITS)},
        fire=(v - whole * maximum(count, 1.0) + 0.5) / unit,
        count=count,
        membrane="v",
        post={"immediate": {"subtract": {"v": v - spike * whole}}},
    )
