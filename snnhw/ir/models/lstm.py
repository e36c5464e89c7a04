"""LSTMCell: the pointwise part of a spiking LSTM; its gates arrive at four ports.

    c' = sigmoid(f) * c + sigmoid(i) * tanh(g)
    h' = sigmoid(o) * tanh(c')
    S  = 1 where h' > threshold

c is ``syn``, h is ``mem``; a reset acts on ``mem`` alone.

Source: snnTorch 1.0's ``SLSTM`` and ``SConv2dLSTM``; S. Hochreiter, J. Schmidhuber, "Long Short-Term
Memory", Neural Computation 9(8), 1997.
"""

from __future__ import annotations

from typing import Final

from snnhw.ir.expr import sigmoid, tanh, variables
from snnhw.ir.models.family import NeuronModel, model, register
from snnhw.ir.params import Param

__all__ = ["LSTM_CELL"]

syn, mem, i, f, g, o, threshold = variables("syn mem i f g o threshold")
cell = sigmoid(f) * syn + sigmoid(i) * tanh(g)

LSTM_CELL: Final[NeuronModel] = register(
    model(
        "LSTMCell",
        states="syn mem",
        params=(Param("threshold", 0.125, about="the neuron fires where mem > threshold; |mem| < 1"),),
        integrate={"syn": cell, "mem": sigmoid(o) * tanh(cell)},
        fire=mem - threshold,
        ports=("i", "f", "g", "o"),
        reset="none",
    )
)
