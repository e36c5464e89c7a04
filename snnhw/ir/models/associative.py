"""AssociativeLeaky: a matrix of membranes that decays by column and is written by outer products.

    U' = a * U + v * k                       v: [d, 1], k and a: [1, n], U: [d, n]
    S  = 1 where U' > threshold

Source: snnTorch 1.0's ``AssociativeLeaky``, whose state vanishes on long sequences because it divides
by a product of decays; that is not reproduced.
"""

from __future__ import annotations

from typing import Final

from snnhw.ir.expr import variables
from snnhw.ir.models.family import NeuronModel, model, register
from snnhw.ir.params import Param

__all__ = ["ASSOCIATIVE"]

mem, v, k, a, threshold = variables("mem v k a threshold")

ASSOCIATIVE: Final[NeuronModel] = register(
    model(
        "Associative",
        states="mem",
        params=(Param("threshold", 1.0, about="the neuron fires where mem > threshold"),),
        integrate={"mem": a * mem + v * k},
        fire=mem - threshold,
        ports=("v", "k", "a"),
        membrane=None,
    )
)
