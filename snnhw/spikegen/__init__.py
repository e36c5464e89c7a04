"""Data and targets as spikes, under snnTorch's names: ``from snnhw import spikegen``.

Time comes first, ``[T, ...]``. Spikes have the dtype and the device of what they were made from;
integers become torch's default floating dtype, except under `delta`. Whatever is random takes a
``generator``, and draws from torch's own where none is given.
"""

from __future__ import annotations

from snnhw.spikegen.change import delta
from snnhw.spikegen.latency import latency, latency_code, latency_code_linear, latency_code_log
from snnhw.spikegen.one_hot import from_one_hot, to_one_hot, to_one_hot_inverse
from snnhw.spikegen.rate import rate, rate_conv
from snnhw.spikegen.targets import targets_convert, targets_latency, targets_rate
from snnhw.spikegen.trains import latency_interpolate, rate_interpolate, target_rate_code
from snnhw.words import public

__all__ = [
    "delta",
    "from_one_hot",
    "latency",
    "latency_code",
    "latency_code_linear",
    "latency_code_log",
    "latency_interpolate",
    "rate",
    "rate_conv",
    "rate_interpolate",
    "target_rate_code",
    "targets_convert",
    "targets_latency",
    "targets_rate",
    "to_one_hot",
    "to_one_hot_inverse",
]

__getattr__, __dir__ = public(__name__, __all__)
