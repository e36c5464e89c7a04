"""Which modules carry something from step to step."""

from __future__ import annotations

from typing import Final

from torch import nn

from snnhw.nn.modules.delay import Delay
from snnhw.nn.modules.neuron import SpikingNeuron
from snnhw.nn.modules.norm_dropout import BatchNormTT, Dropout
from snnhw.nn.program import ProgramStep

__all__ = ["CARRYING"]

CARRYING: Final[tuple[type[nn.Module], ...]] = (BatchNormTT, Delay, Dropout, ProgramStep, SpikingNeuron)
"""Types of modules; each has ``reset_mem``."""
