"""Leaky: the leaky integrate-and-fire neuron of first order.

    U' = beta * U + X - R * threshold        reset "subtract"
    U' = beta * ((1 - R) * U) + X            reset "zero": the input survives, only the old membrane
                                             is wiped; every other model wipes the new one
    U' = beta * U + X                        reset "none"

Source: snnTorch 1.0's ``Leaky``; J. K. Eshraghian et al., "Training Spiking Neural Networks Using
Lessons From Deep Learning", Proc. IEEE 111(9), 2023, eq. 4.
"""

from __future__ import annotations

from typing import Final

from snnhw.ir.expr import clamp, variables
from snnhw.ir.models.family import RESET, Model, model, register
from snnhw.ir.params import Param

__all__ = ["LEAKY"]

mem, x, beta, threshold = variables("mem x beta threshold")
decay = clamp(beta, 0.0, 1.0)

LEAKY: Final[Model] = register(
    model(
        "Leaky",
        states="mem",
        params=(
            Param("beta", low=0.0, high=1.0, about="decay of the membrane per step"),
            Param("threshold", 1.0, about="the neuron fires where mem > threshold"),
        ),
        integrate={"mem": decay * mem + x},
        resets={"zero": {"mem": decay * ((1.0 - RESET) * mem) + x}},
        fire=mem - threshold,
    )
)
