"""Whole-array operations on the tape: shapes, sums, products, windows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from snnhw.reference.tape import Array, Flow, Var, result

__all__ = [
    "broadcast",
    "concatenate",
    "largest",
    "matmul",
    "mean",
    "reshape",
    "stack",
    "total",
    "transpose",
    "windows",
]

Pair = tuple[int, int]
_ALL = slice(None)


def broadcast(x: Var, shape: tuple[int, ...]) -> Var:
    """The same value in a larger shape."""
    return x if x.shape == shape else result(np.broadcast_to(x.value, shape), (x, lambda g: g))


def reshape(x: Var, shape: tuple[int, ...]) -> Var:
    """The same values in another shape, row-major."""
    before = x.shape
    return result(x.value.reshape(shape), (x, lambda g: g.reshape(before)))


def transpose(x: Var, axes: tuple[int, ...]) -> Var:
    """The axes in another order."""
    back = tuple(int(axis) for axis in np.argsort(axes))
    return result(x.value.transpose(axes), (x, lambda g: g.transpose(back)))


def stack(parts: Sequence[Var]) -> Var:
    """Values of one shape along a new first axis."""

    def taken(position: int) -> Flow:
        return lambda g: g[position]

    return result(
        np.stack([part.value for part in parts]),
        *((part, taken(position)) for position, part in enumerate(parts)),
    )


def concatenate(parts: Sequence[Var], axis: int) -> Var:
    """Values side by side along an axis."""
    ends = np.cumsum([part.shape[axis] for part in parts])

    def taken(position: int) -> Flow:
        return lambda g: np.split(g, ends[:-1], axis)[position]

    return result(
        np.concatenate([part.value for part in parts], axis),
        *((part, taken(position)) for position, part in enumerate(parts)),
    )


def total(x: Var, axis: int | None = None) -> Var:
    """The sum over one axis, or over all."""
    shape = x.shape

    def spread(g: Array) -> Array:
        return np.broadcast_to(g if axis is None else np.expand_dims(g, axis), shape)

    return result(x.value.sum(axis=axis), (x, spread))


def mean(x: Var) -> Var:
    """The mean over all axes."""
    shape, count = x.shape, x.value.size
    return result(x.value.sum() / count, (x, lambda g: np.broadcast_to(g / count, shape)))


def matmul(a: Var, b: Var) -> Var:
    """``a @ b`` over the last two axes; the axes before them broadcast."""
    x, y = a.value, b.value
    return result(x @ y, (a, lambda g: g @ y.swapaxes(-1, -2)), (b, lambda g: x.swapaxes(-1, -2) @ g))


def largest(x: Var) -> Var:
    """The largest along the last axis; at a tie the first takes the gradient."""
    where = x.value.argmax(axis=-1, keepdims=True)
    like = x.value

    def put_back(g: Array) -> Array:
        spread = np.zeros_like(like)
        np.put_along_axis(spread, where, g[..., None], axis=-1)
        return spread

    return result(np.take_along_axis(like, where, axis=-1)[..., 0], (x, put_back))


def windows(
    x: Var, kernel: Pair, *, stride: Pair, padding: Pair, dilation: Pair = (1, 1), fill: float = 0.0
) -> Var:
    """Every position of a window over the last two axes.

    ``[B, C, H, W]`` gives ``[B, C, H', W', kernel[0], kernel[1]]``; ``fill`` stands in the padding.
    """
    frame = [(0, 0), (0, 0), *((pad, pad) for pad in padding)]
    padded = np.pad(x.value, frame, constant_values=fill)
    sizes = [
        (size - step * (width - 1) - 1) // jump + 1
        for size, width, jump, step in zip(padded.shape[2:], kernel, stride, dilation, strict=True)
    ]
    offsets = list(product(range(kernel[0]), range(kernel[1])))

    def seen(offset: Pair) -> tuple[slice, ...]:
        """What the cell of the window at ``offset`` sees, over all positions."""
        starts = [cell * step for cell, step in zip(offset, dilation, strict=True)]
        axes = zip(starts, sizes, stride, strict=True)
        return (_ALL, _ALL, *(slice(start, start + size * jump, jump) for start, size, jump in axes))

    def scatter(g: Array) -> Array:
        spread = np.zeros_like(padded)
        for offset in offsets:
            spread[seen(offset)] += g[(..., *offset)]
        (top, left), (height, width) = padding, x.shape[2:]
        return spread[:, :, top : top + height, left : left + width]

    cells = np.stack([padded[seen(offset)] for offset in offsets], axis=-1)
    return result(cells.reshape(*cells.shape[:-1], *kernel), (x, scatter))
