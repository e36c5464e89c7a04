"""The torch front end: neurons as modules, capture of a module into a program, compiled models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from snnhw.nn.capture.capture import Captured, capture
from snnhw.nn.model import Model
from snnhw.nn.modules.classes import neuron_class
from snnhw.nn.modules.delay import Delay
from snnhw.nn.modules.graded import GradedSpikes
from snnhw.nn.modules.neuron import SpikingNeuron
from snnhw.nn.modules.neurons import (
    SLSTM,
    Alpha,
    AssociativeLeaky,
    DeltaLeaky,
    Lapicque,
    Leaky,
    LeakyParallel,
    LinearLeaky,
    RLeaky,
    RSynaptic,
    SConv2dLSTM,
    StateLeaky,
)
from snnhw.nn.modules.norm_dropout import BatchNormTT1d, BatchNormTT2d, Dropout
from snnhw.nn.modules.parents import LIF
from snnhw.nn.program import from_program

__all__ = [
    "LIF",
    "SLSTM",
    "Alpha",
    "AssociativeLeaky",
    "BatchNormTT1d",
    "BatchNormTT2d",
    "Captured",
    "Delay",
    "DeltaLeaky",
    "Dropout",
    "GradedSpikes",
    "Lapicque",
    "Leaky",
    "LeakyParallel",
    "LinearLeaky",
    "Model",
    "RLeaky",
    "RSynaptic",
    "SConv2dLSTM",
    "SpikingNeuron",
    "StateLeaky",
    "Synaptic",
    "capture",
    "from_program",
    "neuron_class",
]

if TYPE_CHECKING:  # made from their equations, see below
    Synaptic: type[SpikingNeuron]


def __getattr__(name: str) -> Any:
    """Every other registered model is a module class of the same name, made when it is first used."""
    from snnhw.ir import MODELS

    if name not in MODELS:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    globals()[name] = made = neuron_class(MODELS[name], module=__name__)
    return made
