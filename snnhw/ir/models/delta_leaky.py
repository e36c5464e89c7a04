"""DeltaLeaky: fires when its membrane moves, not when it is high.

    U' = beta * U + X                        beta is not clamped; there is no reset
    S  = 1 where |U' - U| > delta_threshold

Source: snnTorch 1.0's ``DeltaLeaky``, whose reset and threshold arguments have no effect either.
"""

from __future__ import annotations

from typing import Final

from snnhw.ir.expr import variables
from snnhw.ir.models.family import NeuronModel, model, register
from snnhw.ir.params import Param

__all__ = ["DELTA_LEAKY"]

mem, mem_prev, x, beta, delta_threshold = variables("mem mem_prev x beta delta_threshold")

DELTA_LEAKY: Final[NeuronModel] = register(
    model(
        "DeltaLeaky",
        states="mem mem_prev",
        params=(
            Param("delta_threshold", 1.0, about="the neuron fires where its membrane moves by more"),
            Param("beta", about="decay of the membrane per step"),
        ),
        integrate={"mem": beta * mem + x, "mem_prev": mem},
        fire=abs(mem - mem_prev) - delta_threshold,
        membrane=None,
    )
)
