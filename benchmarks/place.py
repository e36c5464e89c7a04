"""Where both sides of a comparison run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import torch

from snnhw.ir import FrozenMap

__all__ = ["GPU", "HERE", "INTERPRETED", "Place"]


@dataclass(frozen=True)
class Place:
    """A device, and snnhw's backend for it.

    Attributes:
        backend: of snnhw, with its options.
        device: of torch, where data and the peers' weights lie.
        warning: what to say with every figure from here; "" where it means what it says.
    """

    backend: str
    device: str
    options: Mapping[str, object] = field(default_factory=FrozenMap)
    warning: str = ""

    @property
    def is_gpu(self) -> bool:
        return torch.device(self.device).type == "cuda"

    def synchronize(self) -> None:
        """Wait until the device has done what it was given."""
        if self.is_gpu:
            torch.cuda.synchronize(self.device)


HERE: Final = Place("cpu", "cpu")

GPU: Final = Place("cuda", "cuda")

INTERPRETED: Final = Place(
    "cuda",
    "cpu",
    FrozenMap({"interpret": True}),
    "interpreted: proves nothing about speed",
)
