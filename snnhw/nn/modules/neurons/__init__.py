"""Neurons whose constructors or calls differ from what their equations alone would give.

All other models need no file here: their classes are derived, see `snnhw.nn.modules.classes`.
"""

from __future__ import annotations

from snnhw.nn.modules.neurons.alpha import Alpha
from snnhw.nn.modules.neurons.associative import AssociativeLeaky
from snnhw.nn.modules.neurons.delta import DeltaLeaky
from snnhw.nn.modules.neurons.lapicque import Lapicque
from snnhw.nn.modules.neurons.leaky import Leaky
from snnhw.nn.modules.neurons.lstm import SLSTM, SConv2dLSTM
from snnhw.nn.modules.neurons.parallel import LeakyParallel
from snnhw.nn.modules.neurons.recurrent import RLeaky, RSynaptic
from snnhw.nn.modules.neurons.sequences import LinearLeaky, StateLeaky

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
