"""snnTorch's inner import paths of other layers: ``from snnhw._layers.bntt import BatchNormTT1d``."""

from __future__ import annotations

from typing import Final

from snnhw.nn import BatchNormTT1d, BatchNormTT2d, GradedSpikes
from snnhw.nn.inner import publish

__all__ = ["BatchNormTT1d", "BatchNormTT2d", "GradedSpikes"]

__path__: Final[list[str]] = []
"""See `snnhw._neurons`."""

MODULES: Final[dict[str, dict[str, object]]] = {
    "bntt": {"BatchNormTT1d": BatchNormTT1d, "BatchNormTT2d": BatchNormTT2d},
    "graded_spikes": {"GradedSpikes": GradedSpikes},
}
"""Module -> what it holds."""

publish(__name__, MODULES)
