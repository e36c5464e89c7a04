"""What a device could not do, told with the part of the program that asked for it."""

from __future__ import annotations

import re
from typing import Final

import torch

from snnhw.errors import DeviceError
from snnhw.words import sentence

__all__ = ["FAILURES", "told"]

FAILURES: Final = (torch.OutOfMemoryError, DeviceError)
"""What `told` makes a sentence of."""

LESS: Final = (
    "A smaller batch needs less (`accumulate=` several of them makes one update), fewer steps in one call do "
    "(hand `state` to the next), and so do the backend's options, which `snnhw explain` shows"
)


def told(error: Exception, where: str, steps: int, batch: int) -> DeviceError:
    """The error to raise in place of another.

    Args:
        where: which part of the program, in words.
        steps, batch: T and B.
    """
    if isinstance(error, DeviceError):
        return DeviceError(f"{where}: {error}")
    wanted = re.search(r"allocate ([\d.]+ ?[KMGT]?i?B\w*)", str(error))  # advice on torch's allocator follows
    room = f"no room for another {wanted[1]}" if wanted else f"no room: {error}"
    return DeviceError(f"{where}, T={steps} steps of B={batch} samples: {sentence(room)} {LESS}")
