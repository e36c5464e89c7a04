"""Numbers that people ask as they ask torch's and NumPy's."""

from __future__ import annotations

from torch.serialization import add_safe_globals

__all__ = ["Number"]

add_safe_globals([float])  # what a number in a checkpoint is read as


class Number(float):
    """A float with ``item()``. What is computed of it is a float, and so is what a file gives back."""

    __slots__ = ()

    def item(self) -> float:
        """The number itself."""
        return float(self)

    def __reduce__(self) -> tuple[type[float], tuple[float]]:
        return float, (float(self),)
