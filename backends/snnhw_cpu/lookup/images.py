"""Convolutions of images of bits, without putting windows into a matrix.

A row of an image is one word of 64 bits, its padding included. Forward, a row of a window is so many
neighbouring bits, and picks one of the sums of a row of the kernel's weights. The gradient of the weight
picks, by four neighbouring bits, from the sums of four neighbouring numbers of what flows back.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import torch
from torch import Tensor

from snnhw.ir import Conv2d
from snnhw_cpu.kernel import Kernel, compiled
from snnhw_cpu.limits import Limits
from snnhw_cpu.lookup.bits import SIGNS
from snnhw_cpu.lookup.image_source import FORWARD, ROWS, WINDOWS
from snnhw_cpu.lookup.image_weight import WEIGHT
from snnhw_cpu.lookup.vectors import HEAD, LINE, lanes
from snnhw_cpu.memory import empty
from snnhw_cpu.threads import share

__all__ = ["Rows", "convolved", "fits", "pack_images", "tile", "weight_adjoint"]

WIDEST: Final = 64
"""Bits of a word."""

ENTRIES: Final = 256
"""Of all tables at most, that they stay in the first-level cache."""

PLACES: Final = 1024
"""Results of a block of images, whose partial sums wait in the second-level cache."""

PARTS: Final = 4
"""Of all images, each with sums of its own: whatever the number of threads."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Images of bits ``[M, C, H, W]``.

    Attributes:
        words: ``[M, C, H]`` in int64; bit n is the n-th of a row.
        width: W.
    """

    words: Tensor
    width: int


def fits(op: Conv2d, width: int) -> bool:
    """Whether images of so many columns can be convolved here."""
    plain = op.groups == 1 and {*op.stride, *op.dilation} == {1}
    high, wide = op.kernel
    return plain and (high << wide) <= ENTRIES and width + 2 * op.padding[1] <= WIDEST


def tile(dtype: torch.dtype) -> int:
    """Channels that are computed at once."""
    return 2 * LINE // dtype.itemsize


def pack_images(x: Tensor, wake: int) -> tuple[Rows, bool]:
    """Which numbers of ``[M, C, H, W]``, contiguous, are not 0; and whether all the others are 1."""
    count, channels, height, width = x.shape
    words = torch.empty(count, channels, height, dtype=torch.int64)
    other = torch.zeros(1, dtype=torch.int32)
    pointers = (x.data_ptr(), words.data_ptr(), other.data_ptr())
    share(
        _pack(_name(x)).call,
        count,
        (channels * height, width, *pointers),
        cost=x.numel(),
        wake=wake,
        reads=[x],
        writes=[words, other],
    )
    return Rows(words, width), not other.item()


def convolved(op: Conv2d, rows: Rows, w: Tensor, bias: Tensor | None, limits: Limits) -> Tensor:
    """``[M, C, H, W]`` -> ``[M, O, h, w]``, by w ``[C, KH, KW, O]``, contiguous."""
    count, channels, height = rows.words.shape
    shape = op.infer({"x": (channels, height, rows.width)})["y"]
    y = empty(count, *shape, dtype=w.dtype, reuse=limits.reuse)
    bias = w.new_zeros(shape[0]) if bias is None else bias.contiguous()
    block = max(1, PLACES // max(1, shape[1] * shape[2]))
    tasks = -(-shape[0] // tile(w.dtype)) * -(-count // block)
    sizes = (*_sizes(op, rows), block)
    _run(_kernel("forward", op.kernel, _name(w)), tasks, sizes, limits, rows.words, w, bias, y)
    return y


def weight_adjoint(op: Conv2d, rows: Rows, grad: Tensor, limits: Limits) -> Tensor:
    """``[O, C, KH, KW]``, from that of the result ``[M, O, h, w]``, contiguous."""
    channels = rows.words.shape[1]
    found = grad.new_empty(PARTS, channels, *op.kernel, op.out_channels)
    tasks = -(-op.out_channels // tile(grad.dtype)) * PARTS
    sizes = (*_sizes(op, rows), PARTS)
    _run(_kernel("weight", op.kernel, _name(grad)), tasks, sizes, limits, rows.words, grad, found)
    return found.sum(0).permute(3, 0, 1, 2)


def _sizes(op: Conv2d, rows: Rows) -> tuple[int, ...]:
    return (*rows.words.shape, rows.width, op.out_channels, *op.padding)


def _run(kernel: Kernel, tasks: int, sizes: tuple[int, ...], limits: Limits, *tensors: Tensor) -> None:
    pointers = [tensor.data_ptr() for tensor in tensors]
    share(
        kernel.call,
        tasks,
        (*sizes, *pointers),
        cost=tensors[0].numel() * sizes[3] * sizes[4],
        wake=limits.wake,
        reads=tensors[:-1],
        writes=tensors[-1:],
    )


def _name(x: Tensor) -> str:
    return str(x.dtype).removeprefix("torch.")


@lru_cache(maxsize=2)
def _pack(dtype: str) -> Kernel:
    pointers = f"CPointer({dtype}), CPointer(uint64), CPointer(int32)"
    return compiled(HEAD.format(dtype=dtype, **lanes(dtype)) + SIGNS + ROWS.format(pointers=pointers), "pack")


@lru_cache(maxsize=32)
def _kernel(name: str, kernel: tuple[int, int], dtype: str) -> Kernel:
    text, count = {"forward": (FORWARD, 3), "weight": (WEIGHT, 2)}[name]
    pointers = ", ".join(["CPointer(uint64)", *[f"CPointer({dtype})"] * count])
    head = HEAD.format(dtype=dtype, **lanes(dtype)) + WINDOWS.format(high=kernel[0], wide=kernel[1])
    return compiled(head + text.format(pointers=pointers), name)
