"""snnTorch's datasets, which it calls deprecated itself, are not here; the name says what to use."""

from __future__ import annotations

from typing import Any

__all__: list[str] = []

__path__: list[str] = []  # so that `import snnhw.spikevision.spikedata` gets as far as the message


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    raise ImportError(
        f"snnhw has no spikevision.{name}: snnTorch deprecated its datasets; use Tonic "
        "(https://github.com/neuromorphs/tonic), such as tonic.datasets.NMNIST, whose frames fit as they are"
    )
