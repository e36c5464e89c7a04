"""What a comparison ends with: what was measured, and where the two differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["NOTHING", "Disagreement", "Measured"]


@dataclass(frozen=True)
class Measured:
    """What one case measured.

    Attributes:
        membrane_error: largest distance of a neuron's state from what it should be, where spikes are equal so
            far; None where none was compared.
        spikes: how many spikes, fired or not, were compared; flips: how many of them differ.
        gradient_error: largest distance of a gradient, relative to the largest entry of its array; of several
            steps of training, of the way that each parameter went. None where none was compared.
    """

    membrane_error: float | None = None
    spikes: int = 0
    flips: int = 0
    gradient_error: float | None = None


NOTHING: Final = Measured()
"""Of a comparison that never came to it."""


class Disagreement(Exception):
    """A backend and what it is held to differ; the message says where, and by how much.

    Attributes:
        measured: what was measured before it was found; None when nothing was.
    """

    measured: Measured | None = None
