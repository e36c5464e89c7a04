"""What a network does on data, counted: accuracy, spikes, sparsity, synaptic operations, memory.

`measure` is a function from program, parameters and data to a `NetworkReport`, a frozen value; whatever shows
it is apart: ``tables`` for people in a terminal, ``page`` for a browser, ``record`` for machines.
"""

from __future__ import annotations

from snnhw.metrics.data import LABELS, batches
from snnhw.metrics.deciding import DECISIONS
from snnhw.metrics.histogram import Histogram
from snnhw.metrics.measuring import measure
from snnhw.metrics.proxies import proxies
from snnhw.metrics.records import (
    ChipLayer,
    Footprint,
    LayerActivity,
    NetworkReport,
    Proxies,
    SynapticOperations,
)

__all__ = [
    "DECISIONS",
    "LABELS",
    "ChipLayer",
    "Footprint",
    "Histogram",
    "LayerActivity",
    "NetworkReport",
    "Proxies",
    "SynapticOperations",
    "batches",
    "measure",
    "proxies",
]
