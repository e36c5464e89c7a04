"""Plots of spikes, membranes, weights and training; those of snnTorch under its names.

All draw into figures that the caller made. matplotlib is imported when something is drawn, and none
of its global settings is touched.
"""

from __future__ import annotations

from snnhw.spikeplot.curves import histogram, rates, training_curves
from snnhw.spikeplot.documented import Camera, animator, raster, spike_count, traces
from snnhw.words import public

__all__ = [
    "Camera",
    "animator",
    "histogram",
    "raster",
    "rates",
    "spike_count",
    "traces",
    "training_curves",
]

__getattr__, __dir__ = public(__name__, __all__)
