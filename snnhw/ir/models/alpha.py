"""Alpha: a membrane shaped by the difference of two exponentials.

    E' = alpha * E + X                       excitation
    N' = beta * N - X                        inhibition
    U' = tau * (E' + N')                     tau = ln(alpha) / (ln(beta) - ln(alpha)) + 1

The membrane keeps nothing of its own. A reset acts on all three:

    zero:      each times 1 - R
    subtract:  E' - R * threshold,   (1 - R) * N',   U' + R * N

Source: snnTorch 1.0's ``Alpha``; its printed formula of tau lacks the brackets. Sensible decays have
``beta < alpha``.
"""

from __future__ import annotations

from typing import Final

from snnhw.ir.expr import clamp, log, variables
from snnhw.ir.models.family import RESET, NeuronModel, model, register
from snnhw.ir.params import Param

__all__ = ["ALPHA"]

syn_exc, syn_inh, mem, x, alpha, beta, threshold = variables("syn_exc syn_inh mem x alpha beta threshold")
rise, fall = clamp(alpha, 0.0, 1.0), clamp(beta, 0.0, 1.0)
tau = log(rise) / (log(fall) - log(rise)) + 1.0
excited, inhibited = rise * syn_exc + x, fall * syn_inh - x
shaped = tau * (excited + inhibited)

ALPHA: Final[NeuronModel] = register(
    model(
        "Alpha",
        states="syn_exc syn_inh mem",
        params=(
            Param("alpha", low=0.0, high=1.0, about="decay of the excitation per step, greater than beta"),
            Param("beta", low=0.0, high=1.0, about="decay of the inhibition per step"),
            Param("threshold", 1.0, about="the neuron fires where mem > threshold"),
        ),
        integrate={"syn_exc": excited, "syn_inh": inhibited, "mem": shaped},
        resets={
            "zero": {
                "syn_exc": (1.0 - RESET) * excited,
                "syn_inh": (1.0 - RESET) * inhibited,
                "mem": (1.0 - RESET) * shaped,
            },
            "subtract": {
                "syn_exc": excited - RESET * threshold,
                "syn_inh": (1.0 - RESET) * inhibited,
                "mem": shaped + RESET * syn_inh,
            },
        },
        fire=mem - threshold,
        reset="zero",
    )
)
