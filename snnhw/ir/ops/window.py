"""What convolutions and pools share: sizes along one, two or three axes, as data."""

from __future__ import annotations

from typing import Final

from snnhw.errors import ProgramError
from snnhw.ir.ops.base import Op, Shape, is_size, need

__all__ = ["Sizes", "fill", "places", "seen", "space"]

Sizes = tuple[int, ...]
"""One number for each axis that a window moves along."""

_COUNTED: Final = ("no integers", "a tuple of one integer", "a pair of integers", "a triple of integers")
_SPACE: Final = ("depth", "height", "width")


def fill(op: Op, rank: int, name: str, *, least: int = 1, usual: int | None = None) -> None:
    """Hold an attribute to ``rank`` integers; left out, it is the ``usual`` one along every axis."""
    if getattr(op, name) == () and usual is not None:
        object.__setattr__(op, name, (usual,) * rank)
    value = getattr(op, name)
    sound = isinstance(value, tuple) and len(value) == rank and all(is_size(size, least) for size in value)
    need(op, sound, name, f"{_COUNTED[rank]}, {least} or more")


def space(op: Op, rank: int, x: Shape, channels: int | None = None) -> Shape:
    """The sizes of ``(channels, *space)`` after the channels.

    Raises:
        ProgramError: it has another number of axes, or of channels.
    """
    if len(x) != rank + 1 or channels not in (None, x[0]):
        axes = ", ".join(("length",) if rank == 1 else _SPACE[-rank:])
        raise ProgramError(f"{type(op).__name__} takes ({channels or 'channels'}, {axes}), not {x}")
    return x[1:]


def places(sizes: Shape, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes) -> Shape:
    """How many positions a window has along each axis (torch's formula, rounding down)."""
    return tuple(
        (size + 2 * pad - spread * (width - 1) - 1) // step + 1
        for size, width, step, pad, spread in zip(sizes, kernel, stride, padding, dilation, strict=True)
    )


def seen(size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> list[list[int]]:
    """For each position of a window along an axis, the places that its cells see; -1 in the padding."""
    (count,) = places((size,), (kernel,), (stride,), (padding,), (dilation,))
    starts = (position * stride - padding for position in range(count))
    cells = ([start + cell * dilation for cell in range(kernel)] for start in starts)
    return [[place if 0 <= place < size else -1 for place in row] for row in cells]
