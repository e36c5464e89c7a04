"""How much an HDF5 file from anywhere may ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["LIMITS", "Limits"]


@dataclass(frozen=True)
class Limits:
    """What is refused before HDF5 reads it.

    Attributes:
        bytes: most bytes that the file, or everything in it once unpacked, may take.
        objects: most groups and datasets.
        depth: most groups within each other.
        name: most characters of a name.
        texts: most texts of one dataset.
        ratio: most bytes that one stored byte may become: deflate makes at most 1032 of it.
        small: bytes that need no justification by what is stored.
        heap: most objects in all heaps, where texts stand.
    """

    bytes: int = 4 << 30
    objects: int = 1_000_000
    depth: int = 100
    name: int = 256
    texts: int = 2_000_000
    ratio: int = 1100
    small: int = 1 << 16
    heap: int = 5_000_000


LIMITS: Final = Limits()
