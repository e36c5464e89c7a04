"""RSynaptic: a neuron of second order that hears its last spike through its current.

    I' = alpha * I + X + V * S_prev
    U' = beta * U + I' - R * threshold       reset "subtract"
    U' = (1 - R) * (beta * U + I')           reset "zero": I' itself is never reset
    U' = beta * (U - R * threshold) + I'     reset "subtract_beta", as for Leaky
    U' = beta * U + I'                       reset "none"

Where a layer connects the neurons with each other, ``Synaptic`` is the neuron
(`snnhw.ir.composites.recurrent`).

Source: snnTorch 1.0's ``RSynaptic``; its crash with ``reset_delay=False`` is not reproduced.
"""

from __future__ import annotations

from typing import Final

from snnhw.ir.expr import clamp, variables
from snnhw.ir.models.family import RESET, NeuronModel, model, register
from snnhw.ir.params import Param

__all__ = ["RSYNAPTIC"]

spk, syn, mem, x, alpha, beta, V, threshold = variables("spk syn mem x alpha beta V threshold")
current = clamp(alpha, 0.0, 1.0) * syn + x + V * spk
decay = clamp(beta, 0.0, 1.0)

RSYNAPTIC: Final[NeuronModel] = register(
    model(
        "RSynaptic",
        states="spk syn mem",
        params=(
            Param("alpha", low=0.0, high=1.0, about="decay of the current per step"),
            Param("beta", low=0.0, high=1.0, about="decay of the membrane per step"),
            Param("V", 1.0, about="what a spike adds to the neuron's next input"),
            Param("threshold", 1.0, about="the neuron fires where mem > threshold"),
        ),
        integrate={"syn": current, "mem": decay * mem + current},
        resets={"subtract_beta": {"mem": decay * (mem - RESET * threshold) + current}},
        fire=mem - threshold,
    )
)
