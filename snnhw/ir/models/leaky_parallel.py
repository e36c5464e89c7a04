"""LeakyParallel: a rectified leaky membrane without reset, a recurrent layer of torch's kind.

    U' = max(X + (w * U + b), 0)             each neuron hears itself alone

Where a full matrix connects the neurons (``weight_hh_enable``), ``Rectified`` is the neuron, and the
product of the matrix arrives with the input (`snnhw.ir.composites.fully_connected`).

Source: snnTorch 1.0's ``LeakyParallel``, on ``torch.nn.RNN(nonlinearity="relu")``.
"""

from __future__ import annotations

from typing import Final

from snnhw.ir.expr import maximum, variables
from snnhw.ir.models.family import NeuronModel, model, register
from snnhw.ir.params import Param

__all__ = ["LEAKY_PARALLEL", "RECTIFIED"]

mem, x, weight, bias, threshold = variables("mem x weight bias threshold")

THRESHOLD: Final = Param("threshold", 1.0, about="the neuron fires where mem > threshold")

LEAKY_PARALLEL: Final[NeuronModel] = register(
    model(
        "LeakyParallel",
        states="mem",
        params=(
            Param("weight", about="what the membrane adds to itself per step"),
            Param("bias", 0.0, about="added at every step"),
            THRESHOLD,
        ),
        integrate={"mem": maximum(x + (weight * mem + bias), 0.0)},
        fire=mem - threshold,
        membrane=None,
    )
)

RECTIFIED: Final[NeuronModel] = register(
    model(
        "Rectified",
        states="mem",
        params=(THRESHOLD,),
        integrate={"mem": maximum(x, 0.0)},
        fire=mem - threshold,
        membrane=None,
    )
)
