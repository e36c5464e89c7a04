"""Neurons whose constructors or calls differ from what their equations alone would give.

All other models need no file here: their classes are derived, see `snnhw.nn.classes`.
"""

from __future__ import annotations

from snnhw.nn.neurons.alpha import Alpha
from snnhw.nn.neurons.delta import DeltaLeaky
from snnhw.nn.neurons.lapicque import Lapicque
from snnhw.nn.neurons.leaky import Leaky
from snnhw.nn.neurons.lstm import SLSTM, SConv2dLSTM
from snnhw.nn.neurons.recurrent import RLeaky, RSynaptic
from snnhw.nn.neurons.sequences import AssociativeLeaky, LeakyParallel, LinearLeaky, StateLeaky

__all__ = [
    "SLSTM",
    "Alpha",
    "AssociativeLeaky",
    "DeltaLeaky",
    "Lapicque",
    "Leaky",
    "LeakyParallel",
    "LinearLeaky",
    "RLeaky",
    "RSynaptic",
    "SConv2dLSTM",
    "StateLeaky",
]
