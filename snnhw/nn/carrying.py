"""Which modules carry something from step to step."""

from __future__ import annotations

from typing import Final

from torch import nn

from snnhw.nn.delay import Delay
from snnhw.nn.neuron import SpikingNeuron
from snnhw.nn.program import ProgramStep
from snnhw.nn.stepwise import BatchNormTT, Dropout

__all__ = ["CARRYING"]

CARRYING: Final[tuple[type[nn.Module], ...]] = (BatchNormTT, Delay, Dropout, ProgramStep, SpikingNeuron)
"""Types of modules; each has ``reset_mem``."""
