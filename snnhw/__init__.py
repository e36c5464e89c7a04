"""Spiking networks written once, run anywhere.

Write a network, choose a backend by name, train it, check that every backend computes the same thing,
and hand it to neuromorphic chips. Importing ``snnhw`` is cheap: every public name is imported when it
is first used.
"""

from __future__ import annotations

from importlib import import_module
from threading import RLock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what type checkers and editors see; a test compares it with the tables below
    from snnhw import (
        backprop,
        chips,
        export_nir,
        functional,
        import_nir,
        ir,
        nn,
        optim,
        spikegen,
        spikeplot,
        surrogate,
        training,
        utils,
    )
    from snnhw.api import backends, compile, export, load, save  # noqa: A004  # the verb a user looks for
    from snnhw.export_nir import export_to_nir
    from snnhw.import_nir import import_from_nir
    from snnhw.nn import (
        LIF,
        SLSTM,
        Alpha,
        AssociativeLeaky,
        BatchNormTT1d,
        BatchNormTT2d,
        DeltaLeaky,
        GradedSpikes,
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
    from snnhw.nn.capture.capture import capture
    from snnhw.nn.modules.custom import neuron
    from snnhw.nn.program import from_program
    from snnhw.nn.writing import load_into
    from snnhw.reporting import report

_HOMES = {
    "backends": "snnhw.api",
    "compile": "snnhw.api",
    "export": "snnhw.api",
    "load": "snnhw.api",
    "load_into": "snnhw.nn.writing",
    "save": "snnhw.api",
    "BatchNormTT1d": "snnhw.nn",
    "BatchNormTT2d": "snnhw.nn",
    "Alpha": "snnhw.nn",
    "AssociativeLeaky": "snnhw.nn",
    "DeltaLeaky": "snnhw.nn",
    "GradedSpikes": "snnhw.nn",
    "Lapicque": "snnhw.nn",
    "Leaky": "snnhw.nn",
    "LeakyParallel": "snnhw.nn",
    "LIF": "snnhw.nn",
    "LinearLeaky": "snnhw.nn",
    "RLeaky": "snnhw.nn",
    "RSynaptic": "snnhw.nn",
    "SConv2dLSTM": "snnhw.nn",
    "SLSTM": "snnhw.nn",
    "SpikingNeuron": "snnhw.nn",
    "StateLeaky": "snnhw.nn",
    "Synaptic": "snnhw.nn",
    "capture": "snnhw.nn.capture.capture",
    "export_to_nir": "snnhw.export_nir",
    "import_from_nir": "snnhw.import_nir",
    "from_program": "snnhw.nn.program",
    "neuron": "snnhw.nn.modules.custom",
    "report": "snnhw.reporting",
}
"""Public name -> the module that defines it."""

_SUBMODULES = (
    "backprop",
    "chips",
    "export_nir",
    "functional",
    "import_nir",
    "ir",
    "nn",
    "optim",
    "spikegen",
    "spikeplot",
    "surrogate",
    "training",
    "utils",
)
"""Modules that are reached as attributes: ``snn.surrogate.atan()``."""

_INNER = ("_layers", "_neurons")
"""Likewise, for code that reaches into snnTorch: ``snn._neurons.leaky.Leaky``."""

__all__ = [
    "LIF",
    "SLSTM",
    "Alpha",
    "AssociativeLeaky",
    "BatchNormTT1d",
    "BatchNormTT2d",
    "DeltaLeaky",
    "GradedSpikes",
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
    "backends",
    "backprop",
    "capture",
    "chips",
    "compile",
    "export",
    "export_nir",
    "export_to_nir",
    "from_program",
    "functional",
    "import_from_nir",
    "import_nir",
    "ir",
    "load",
    "load_into",
    "neuron",
    "nn",
    "optim",
    "report",
    "save",
    "spikegen",
    "spikeplot",
    "surrogate",
    "training",
    "utils",
]


_LOADING = RLock()
"""Held while a name is imported: of two threads that import parts of one package, each may find the other's
half done."""


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name in _HOMES:
        value = getattr(_imported(_HOMES[name]), name)
    elif name in _SUBMODULES or name in _INNER:
        value = _imported(f"{__name__}.{name}")
    elif name == "__version__":
        from importlib.metadata import version  # slow to import, and seldom asked for

        value = version(__name__)
    else:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'.{_hint(name)}")
    globals()[name] = value  # found here from now on
    return value


def _hint(name: str) -> str:
    """Where a name is that somebody looks for here."""
    from importlib.util import find_spec

    from snnhw.words import did_you_mean

    if name.startswith("_") or not name.isidentifier():  # asked by tools
        return ""
    if find_spec(f"{__name__}.{name}"):  # asked by an import, which goes on
        return ""
    for module in ("optim", "surrogate", "functional", "training", "utils"):
        if hasattr(_imported(f"{__name__}.{module}"), name):
            return f" It is snnhw.{module}.{name}."
    return did_you_mean(name, [*__all__, *_SUBMODULES])


def _imported(module: str) -> Any:
    with _LOADING:
        import_module(module.rpartition(".")[0])  # one that another thread imports just now is waited for
        return import_module(module)


def __dir__() -> list[str]:
    return sorted({*(name for name in globals() if name.startswith("__")), *__all__, "__version__"})
