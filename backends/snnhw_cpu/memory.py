"""Large buffers, used again: the system takes longer to hand out fresh pages than a kernel to fill them.

A buffer belongs to the tensor over it, and comes back when the last view of that tensor is gone. There are
no locks: a buffer may come back in any thread, and in the middle of anything.
"""

from __future__ import annotations

import weakref
from collections import deque
from math import prod
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

__all__ = ["SPARE", "empty"]

Buffer = np.ndarray[Any, Any]

SPARE: Final = 128 << 20
"""Bytes that lie idle at most."""

LINE: Final = 64
"""Bytes of a cache line, where a buffer begins."""

_IDLE: dict[int, deque[Buffer]] = {}


def empty(*shape: int, dtype: torch.dtype, reuse: int) -> Tensor:
    """An uninitialised tensor, in memory that was used before if it has at least ``reuse`` bytes."""
    size = prod(shape) * dtype.itemsize
    return _fresh(shape, dtype) if size < max(1, reuse) else _lent(size).view(dtype).view(shape)


def _fresh(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    return torch.empty(shape, dtype=dtype)


def _lent(size: int) -> Tensor:
    """So many bytes, until nobody needs them."""
    buffer = _take(size)
    loan = buffer[-buffer.ctypes.data % LINE :][:size]  # torch holds this view of it
    weakref.finalize(loan, _give, buffer).atexit = False
    return torch.from_numpy(loan)


def _take(size: int) -> Buffer:
    """At least so many bytes, rounded up by an eighth at most so that sizes meet again."""
    step = 1 << (size.bit_length() - 4)
    size = -(-size // step) * step
    try:
        return _IDLE[size].pop()
    except (KeyError, IndexError):
        return np.empty(size + LINE, np.uint8)  # NumPy asks for huge pages


def _give(buffer: Buffer) -> None:
    idle = sum(size * len(buffers) for size, buffers in list(_IDLE.items()))
    size = buffer.nbytes - LINE
    if idle + size > SPARE:
        _IDLE.clear()  # what came back last is the likeliest to be wanted next
    if size <= SPARE:
        _IDLE.setdefault(size, deque()).append(buffer)
