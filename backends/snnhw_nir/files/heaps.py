"""A check of the heaps in which HDF5 keeps texts: a broken one can keep its reader busy for ever.

HDF5 walks a heap object by object, and does not notice an object of no size, which it meets again and
again. So every heap is walked here first. Layout: "HDF5 File Format Specification Version 3.0", III.E.
"""

from __future__ import annotations

from typing import Final

from snnhw.errors import LoadError
from snnhw_nir.files.limits import LIMITS

__all__ = ["check_heaps", "room"]

SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"
HEAP: Final = b"GCOL\x01\x00\x00\x00"

HEADER: Final = 16
"""Bytes before the objects of a heap, and before the content of an object."""


def check_heaps(data: bytes, most: int = LIMITS.heap) -> None:
    """Raise `LoadError` unless every heap in the bytes of a file can be walked to its end.

    Args:
        most: objects in all of them.
    """
    if not data.startswith(SIGNATURE) or len(data) < 48:
        raise LoadError("it is no HDF5 file")
    widths = data[13:15] if data[8] < 2 else data[9:11]
    if widths != b"\x08\x08":  # else the layout below would be another; no file of today has any other
        raise LoadError(f"its addresses and lengths take {tuple(widths)} bytes, where 8 are accepted")
    at, objects = data.find(HEAP), 0
    while at >= 0:
        objects += _check(data, at, most)
        if objects > most:
            raise LoadError(f"its heaps hold more than {most} objects")
        at = data.find(HEAP, at + 1)


def _check(data: bytes, at: int, most: int) -> int:
    """How many objects a heap holds, itself included."""
    end = at + _number(data, at + 8, 8)
    if end > len(data):
        raise LoadError(f"its heap at byte {at} reaches beyond the file")
    place, objects = at + HEADER, 1
    while end - place >= HEADER and objects <= most:
        taken = room(_number(data, place, 2), _number(data, place + 8, 8))
        if taken is None or place + taken > end:
            raise LoadError(f"its heap at byte {at} is broken")
        place += taken
        objects += 1
    return objects


def room(index: int, size: int) -> int | None:
    """Bytes that an object takes in its heap; None where that is less than its own header.

    Args:
        index: its number, 0 for what is left over, whose size counts its header.
    """
    taken = size if index == 0 else HEADER + (size + 7) // 8 * 8
    return taken if taken >= HEADER else None


def _number(data: bytes, at: int, width: int) -> int:
    return int.from_bytes(data[at : at + width], "little")
