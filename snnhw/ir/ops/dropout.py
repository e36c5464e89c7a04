"""Dropout: in training, elements are left out at random and the others scaled up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from snnhw.ir.checks import is_number
from snnhw.ir.ops.base import Op, Shape, need, op

__all__ = ["Dropout"]

MASKS: Final = ("per_step", "held")


@op
@dataclass(frozen=True)
class Dropout(Op):
    """``y = x / (1 - p)`` where a random number reaches p, else 0; in evaluation ``y = x``.

    Source: N. Srivastava et al., JMLR 15, 2014. One mask for a sequence: C. Lee et al., "Enabling
    Spike-Based Backpropagation for Training Deep Neural Network Architectures", 2020.

    Attributes:
        p: the share that is left out, from 0 to 1.
        mask: ``per_step``: another one at every step; ``held``: one for a whole sequence.
    """

    p: float = 0.5
    mask: Literal["per_step", "held"] = "per_step"

    def check(self) -> None:
        need(self, is_number(self.p) and 0 <= self.p <= 1, "p", "a number from 0 to 1")
        need(self, self.mask in MASKS, "mask", f"one of {', '.join(MASKS)}")

    def infer(self, shapes: Mapping[str, Shape]) -> Mapping[str, Shape]:
        return {"y": shapes["x"]}

    def factors(self, u: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """What elements are multiplied by, from the random numbers that belong to them."""
        return np.where(u >= self.p, self.scale, 0.0)

    @property
    def scale(self) -> float:
        """What an element is multiplied by that stays."""
        return 1.0 / (1.0 - self.p) if self.p < 1 else 0.0

    @property
    def clocked(self) -> bool:
        return True

    def varies(self, training: bool) -> bool:
        return training and self.mask == "per_step"

    def summary(self) -> str:
        return f"Dropout({self.p}, mask={self.mask})"
