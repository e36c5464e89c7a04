"""Which modules carry something from step to step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from torch import nn

from snnhw.nn.delay import Delay
from snnhw.nn.neuron import SpikingNeuron
from snnhw.nn.program import ProgramStep
from snnhw.nn.stepwise import BatchNormTT, Dropout

__all__ = ["CARRYING", "carried"]

CARRYING: Final[Mapping[type[nn.Module], tuple[str, ...]]] = {
    BatchNormTT: ("step",),
    Delay: ("_line",),
    Dropout: ("_factors",),
    ProgramStep: ("state",),
    SpikingNeuron: (),  # its model says
}
"""Type of module -> the attributes that hold it; each has ``reset_mem``."""


def carried(module: nn.Module) -> tuple[str, ...]:
    """The attributes in which a module carries something from step to step."""
    if isinstance(module, SpikingNeuron):
        return module.state_names
    return next((names for kind, names in CARRYING.items() if isinstance(module, kind)), ())
