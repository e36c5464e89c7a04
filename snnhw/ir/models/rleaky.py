"""RLeaky: a leaky integrate-and-fire neuron that hears its layer's last spikes.

    M  = beta * U + X + V * S_prev           each neuron hears itself
    U' = M - R * threshold                   reset "subtract"
    U' = (1 - R) * M                         reset "zero": input and recurrence are wiped too
    U' = M - beta * R * threshold            reset "subtract_beta", as for Leaky
    U' = M                                   reset "none"

Where a layer connects the neurons with each other, ``RLeakySum`` is the neuron, and input and
recurrent current add up on the way to it (`snnhw.ir.composites.recurrent`).

Source: snnTorch 1.0's ``RLeaky``.
"""

from __future__ import annotations

from typing import Final

from snnhw.ir.expr import clamp, variables
from snnhw.ir.models.family import RESET, NeuronModel, model, register
from snnhw.ir.params import Param

__all__ = ["RLEAKY", "RLEAKY_SUM"]

spk, mem, x, beta, V, threshold = variables("spk mem x beta V threshold")
decay = clamp(beta, 0.0, 1.0)
integrated = decay * mem + x
lowered = decay * (mem - RESET * threshold) + x

BETA: Final = Param("beta", low=0.0, high=1.0, about="decay of the membrane per step")
THRESHOLD: Final = Param("threshold", 1.0, about="the neuron fires where mem > threshold")

RLEAKY: Final[NeuronModel] = register(
    model(
        "RLeaky",
        states="spk mem",
        params=(BETA, Param("V", 1.0, about="what a spike adds to the neuron's next input"), THRESHOLD),
        integrate={"mem": integrated + V * spk},
        resets={"subtract_beta": {"mem": lowered + V * spk}},
        fire=mem - threshold,
    )
)

RLEAKY_SUM: Final[NeuronModel] = register(
    model(
        "RLeakySum",
        states="mem",
        params=(BETA, THRESHOLD),
        integrate={"mem": integrated},
        resets={"subtract_beta": {"mem": lowered}},
        fire=mem - threshold,
    )
)
