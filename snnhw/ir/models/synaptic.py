"""Synaptic: leaky integrate-and-fire of second order, with a current that decays of its own.

    I' = alpha * I + X
    U' = beta * U + I' - R * threshold       reset "subtract"
    U' = (1 - R) * (beta * U + I')           reset "zero": I' itself is never reset
    U' = beta * (U - R * threshold) + I'     reset "subtract_beta", as for Leaky
    U' = beta * U + I'                       reset "none"

Source: snnTorch 1.0's ``Synaptic``; W. Gerstner et al., "Neuronal Dynamics", 2014, section 1.3.
"""

from __future__ import annotations

from typing import Final

from snnhw.ir.expr import clamp, variables
from snnhw.ir.models.family import RESET, NeuronModel, model, register
from snnhw.ir.params import Param

__all__ = ["SYNAPTIC"]

syn, mem, x, alpha, beta, threshold = variables("syn mem x alpha beta threshold")
current = clamp(alpha, 0.0, 1.0) * syn + x
decay = clamp(beta, 0.0, 1.0)

SYNAPTIC: Final[NeuronModel] = register(
    model(
        "Synaptic",
        states="syn mem",
        params=(
            Param("alpha", low=0.0, high=1.0, about="decay of the current per step"),
            Param("beta", low=0.0, high=1.0, about="decay of the membrane per step"),
            Param("threshold", 1.0, about="the neuron fires where mem > threshold"),
        ),
        integrate={"syn": current, "mem": decay * mem + current},
        resets={"subtract_beta": {"mem": decay * (mem - RESET * threshold) + current}},
        fire=mem - threshold,
    )
)
