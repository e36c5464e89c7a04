"""Random numbers made on the device: the same as on every backend, in every bit."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from math import prod
from typing import Any

import torch
from torch import Tensor

from snnhw.ir.noise import LIMIT, counter_of
from snnhw.tensors.scans.provider import Draw
from snnhw_cuda.kernel import Kernel, compiled

__all__ = ["drawn"]

BLOCK = 128
"""Of eight numbers each."""


@lru_cache(maxsize=2)
def _kernel(interpreted: bool) -> Kernel:
    return compiled(files("snnhw_cuda").joinpath("philox.py").read_text(), "uniform", interpreted=interpreted)


def drawn(draw: Draw, device: torch.device, *, interpreted: bool) -> Tensor:
    """See `snnhw.tensors.scans.provider.Provider.uniform`. The clocks are of steps one after the other."""
    clocks, node, name, shape, held = draw
    found = torch.empty((len(clocks), *shape), dtype=torch.float32, device=device)
    count = prod(shape)
    counter = counter_of(clocks[0], node, name, held=held)
    _, step, sequence, last = counter.start
    numbers = [*map(_signed, counter.key), step, sequence, last]
    programs = len(clocks) * -(-count // (8 * BLOCK))
    given: dict[str, Any] = {"LIMIT": LIMIT, "BLOCK": BLOCK}
    _kernel(interpreted)(programs, [found, count, *numbers], **given)
    return found


def _signed(word: int) -> int:
    """The same 64 bits, as what a kernel takes."""
    return word - (1 << 64) if word >> 63 else word
