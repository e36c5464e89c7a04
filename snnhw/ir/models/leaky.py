"""Leaky: the leaky integrate-and-fire neuron of first order.

    U' = beta * U + X - R * threshold        reset "subtract"
    U' = beta * ((1 - R) * U) + X            reset "zero": the input survives, only the old membrane
                                             is wiped; every other model wipes the new one
    U' = beta * (U - R * threshold) + X      reset "subtract_beta"
    U' = beta * U + X                        reset "none"

"subtract" is what snnTorch computes: the membrane decays first, and then loses the whole threshold.
Its tutorials 3 and 5 take the threshold from the membrane that fired, so that the reset decays with it:
that is "subtract_beta", whose spikes are those of "subtract" carried out at once, one step later in the
membrane. With ``reset_delay=False`` the two are the same.

Source: snnTorch 1.0's ``Leaky``; J. K. Eshraghian et al., "Training Spiking Neural Networks Using
Lessons From Deep Learning", Proc. IEEE 111(9), 2023, eq. 4.
"""

from __future__ import annotations

from typing import Final

from snnhw.ir.expr import clamp, variables
from snnhw.ir.models.family import RESET, NeuronModel, model, register
from snnhw.ir.params import Param

__all__ = ["LEAKY"]

mem, x, beta, threshold = variables("mem x beta threshold")
decay = clamp(beta, 0.0, 1.0)

LEAKY: Final[NeuronModel] = register(
    model(
        "Leaky",
        states="mem",
        params=(
            Param("beta", low=0.0, high=1.0, about="decay of the membrane per step"),
            Param("threshold", 1.0, about="the neuron fires where mem > threshold"),
        ),
        integrate={"mem": decay * mem + x},
        resets={
            "zero": {"mem": decay * ((1.0 - RESET) * mem) + x},
            "subtract_beta": {"mem": decay * (mem - RESET * threshold) + x},
        },
        fire=mem - threshold,
    )
)
