"""snnTorch's inner import paths of neurons: ``from snnhw._neurons.leaky import Leaky``.

Each module of the table is one of Python's, although none has a file; all hold the classes of `snnhw.nn`.
"""

from __future__ import annotations

from typing import Final

from snnhw.nn import (
    LIF,
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
    SpikingNeuron,
    StateLeaky,
    Synaptic,
)
from snnhw.nn.inner import publish

__all__ = [
    "LIF",
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
    "SpikingNeuron",
    "StateLeaky",
    "Synaptic",
]

__path__: Final[list[str]] = []
"""What makes Python look for modules inside; there are no files."""

PARENTS: Final[dict[type, type]] = {
    Alpha: LIF,
    DeltaLeaky: Leaky,
    Lapicque: LIF,
    Leaky: LIF,
    LinearLeaky: StateLeaky,
    RLeaky: LIF,
    RSynaptic: LIF,
    SConv2dLSTM: SpikingNeuron,
    SLSTM: SpikingNeuron,
    StateLeaky: LIF,
    Synaptic: LIF,
}
"""What the module of a neuron holds besides it."""

MODULES: Final[dict[str, dict[str, object]]] = {
    "neurons": {"SpikingNeuron": SpikingNeuron, "LIF": LIF},
    **{
        kind.__name__.lower(): {kind.__name__: kind, parent.__name__: parent}
        for kind, parent in PARENTS.items()
    },
    "associative": {"AssociativeLeaky": AssociativeLeaky, "SpikingNeuron": SpikingNeuron},
    "leakyparallel": {"LeakyParallel": LeakyParallel},
    "leakykernel": {"LeakyKernel": LeakyParallel},
    "leakyunroll": {"LeakyParallel": LeakyParallel},
}
"""Module -> what it holds."""

publish(__name__, MODULES)
