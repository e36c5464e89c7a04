"""Lapicque: the membrane as a resistor R beside a capacitor C, by Euler's method with steps of T.

    F  = X * (T / C) + (1 - T / (R * C)) * U
    U' = F - R_ * threshold                  reset "subtract"; R_ is the flag of the reset
    U' = (1 - R_) * F                        reset "zero"
    U' = F                                   reset "none"

``LapicqueDecay`` is the same neuron with C given by a decay, ``C = T / (R * ln(1 / beta))``; T cancels:

    F  = X * R * ln(1 / beta) + (1 - ln(1 / beta)) * U

As in snnTorch the decay that acts is then ``1 + ln(beta)``, not ``beta``; unlike there, ``beta`` can be
learnt.

Source: snnTorch 1.0's ``Lapicque``; L. Lapicque, "Recherches quantitatives sur l'excitation electrique
des nerfs traitee comme une polarisation", J. Physiol. Pathol. Gen. 9, 1907.
"""

from __future__ import annotations

from typing import Final

from snnhw.ir.expr import log, variables
from snnhw.ir.models.family import NeuronModel, model, register
from snnhw.ir.params import Param

__all__ = ["LAPICQUE", "LAPICQUE_DECAY"]

mem, x, beta, R, C, time_step, threshold = variables("mem x beta R C time_step threshold")

RESISTANCE: Final = Param("R", 1.0, about="resistance of the membrane")
THRESHOLD: Final = Param("threshold", 1.0, about="the neuron fires where mem > threshold")


lost = log(1.0 / beta)

LAPICQUE: Final[NeuronModel] = register(
    model(
        "Lapicque",
        states="mem",
        params=(
            RESISTANCE,
            Param("C", 1.0, about="capacity of the membrane"),
            Param("time_step", 1.0, about="length of a step, in the units of R * C"),
            THRESHOLD,
        ),
        integrate={"mem": x * (time_step / C) + (1.0 - time_step / (R * C)) * mem},
        fire=mem - threshold,
    )
)

LAPICQUE_DECAY: Final[NeuronModel] = register(
    model(
        "LapicqueDecay",
        states="mem",
        params=(
            Param("beta", 0.5, low=0.0, high=1.0, about="exp(-T / (R * C))"),
            RESISTANCE,
            THRESHOLD,
        ),
        integrate={"mem": x * (R * lost) + (1.0 - lost) * mem},
        fire=mem - threshold,
    )
)
