"""What several kinds of value ask of their attributes."""

from __future__ import annotations

from math import isfinite
from typing import TypeGuard

__all__ = ["is_number"]


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a finite int or float; a bool is no number."""
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)
    except OverflowError:  # an int beyond every float
        return False
