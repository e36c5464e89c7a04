"""What goes through the pipes: frames of a JSON header and raw arrays. No pickle, so no code.

A frame is ``MAGIC``, the length of the header and of the payload (big endian, 4 and 8 bytes), the header
as UTF-8 JSON, and the payload: the bytes of every array, one after the other, in C order. The header's
``arrays`` says name, dtype and shape of each.
"""

from __future__ import annotations

import json
import struct
from typing import Any, Callable, Dict, Mapping, NamedTuple, Tuple

import numpy as np

__all__ = ["LIMITS", "MAGIC", "PROTOCOL", "Frame", "FrameError", "Limits", "read_frame", "write_frame"]

PROTOCOL = 2
"""Version of the frames and of the questions asked in them; both sides must have the same."""

MAGIC = b"SNNIPU" + struct.pack(">H", PROTOCOL)
LENGTHS = struct.Struct(">IQ")
DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")


class Limits(NamedTuple):
    """Most bytes of a frame that is read."""

    header: int = 1 << 28
    payload: int = 1 << 38


LIMITS = Limits()

Array = Any
Frame = Tuple[Dict[str, Any], Dict[str, Array]]
"""A header, and arrays by name."""


class FrameError(Exception):
    """The other side did not send a frame; says what came instead."""


def write_frame(
    write: Callable[[bytes], Any], header: Mapping[str, Any], arrays: Mapping[str, Array]
) -> None:
    """Send one frame. ``write`` takes all of what it is given."""
    parts = {name: np.ascontiguousarray(array).reshape(np.shape(array)) for name, array in arrays.items()}
    listed = [[name, array.dtype.name, list(array.shape)] for name, array in parts.items()]
    text = json.dumps({**header, "arrays": listed}).encode("utf-8")
    size = sum(array.nbytes for array in parts.values())
    write(MAGIC + LENGTHS.pack(len(text), size) + text)
    for array in parts.values():
        if array.nbytes:
            write(array.tobytes())


def read_frame(read: Callable[[int], bytes], limits: Limits = LIMITS) -> Frame:
    """The next frame.

    Args:
        read: gives as many bytes as it is asked for, or raises `EOFError`.

    Raises:
        EOFError: the pipe was closed.
        FrameError: what came is not a frame of this version.
    """
    start = read(len(MAGIC))
    if start != MAGIC:
        raise FrameError(_not_a_frame(start))
    length, size = LENGTHS.unpack(read(LENGTHS.size))
    if length > limits.header or size > limits.payload:
        raise FrameError("a frame claims to hold %d + %d bytes, which no frame does" % (length, size))
    try:
        header = json.loads(read(length).decode("utf-8"))
        listed = [
            (str(name), str(dtype), tuple(map(int, shape))) for name, dtype, shape in header.pop("arrays")
        ]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FrameError("a frame's header cannot be read: %s" % error) from error
    return header, _arrays(listed, size, read)


def _arrays(
    listed: list[tuple[str, str, tuple[int, ...]]], size: int, read: Callable[[int], bytes]
) -> dict[str, Array]:
    found = {}
    left = size
    for name, dtype, shape in listed:
        if dtype not in DTYPES or any(axis < 0 for axis in shape):
            raise FrameError("array '%s' of a frame is a %s %s" % (name, dtype, list(shape)))
        count = int(np.prod(shape, dtype=np.float64))
        left -= count * np.dtype(dtype).itemsize
        if left < 0:
            raise FrameError("array '%s' of a frame is larger than the frame" % name)
        data = bytearray(read(count * np.dtype(dtype).itemsize))  # so that the array may be written to
        found[name] = np.frombuffer(data, dtype).reshape(shape)
    if left:
        raise FrameError("a frame holds %d bytes that belong to no array" % left)
    return found


def _not_a_frame(start: bytes) -> str:
    if start[:6] == MAGIC[:6]:
        other = struct.unpack(">H", start[6:])[0]
        return "the other side speaks version %d of the protocol, this one version %d" % (other, PROTOCOL)
    return "%r came where a frame begins" % start
