"""Whole-array operations on the tape: shapes, sums, products, windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from snnhw.reference.tape import Array, Flow, Var, constant, result

__all__ = [
    "Window",
    "broadcast",
    "concatenate",
    "item",
    "largest",
    "like",
    "matmul",
    "mean",
    "overlay",
    "pick",
    "reshape",
    "stack",
    "total",
    "transpose",
    "windows",
    "winner",
]

Sizes = tuple[int, ...]
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


def item(x: Var, index: int) -> Var:
    """One entry along the first axis."""
    like = x.value

    def put_back(g: Array) -> Array:
        spread = np.zeros_like(like)
        spread[index] = g
        return spread

    return result(like[index], (x, put_back))


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


def like(x: Var, value: object) -> Var:
    """A constant in the dtype of ``x``."""
    return constant(np.asarray(value, x.value.dtype))


def pick(x: Var, places: Sequence[int] | Array, axis: int) -> Var:
    """The values at some places along an axis, in that order; one may be picked more than once."""
    shape = x.shape

    def put_back(g: Array) -> Array:
        spread = np.zeros(shape, g.dtype)
        inside, outside = np.moveaxis(spread, axis, 0), np.moveaxis(g, axis, 0)
        for place, amount in zip(places, outside, strict=True):
            inside[place] += amount
        return spread

    return result(np.take(x.value, places, axis), (x, put_back))


def winner(x: Var, axis: int) -> Var:
    """1 at the largest along an axis, the first of them at a tie; 0 elsewhere. A constant."""
    found = np.zeros_like(x.value)
    np.put_along_axis(found, np.expand_dims(x.value.argmax(axis), axis), 1, axis)
    return constant(found)


class Window(NamedTuple):
    """How a window moves: one number per axis each."""

    kernel: Sizes
    stride: Sizes
    padding: Sizes
    dilation: Sizes

    def cells(self) -> Iterator[Sizes]:
        """Every cell of the window, in row-major order."""
        return product(*map(range, self.kernel))

    def seen(self, cell: Sizes, places: Sizes) -> tuple[slice, ...]:
        """What a cell sees of padded values, over all places of the window."""
        starts = [offset * spread for offset, spread in zip(cell, self.dilation, strict=True)]
        axes = zip(starts, places, self.stride, strict=True)
        return (_ALL, _ALL, *(slice(start, start + count * step, step) for start, count, step in axes))


def windows(x: Var, window: Window, fill: float = 0.0) -> Var:
    """What a window sees at every place.

    ``[B, C, *space]`` gives ``[B, C, *places, *kernel]``; ``fill`` stands in the padding.
    """
    axes = zip(x.shape[2:], *window, strict=True)
    places = tuple(
        (size + 2 * pad - spread * (width - 1) - 1) // step + 1 for size, width, step, pad, spread in axes
    )
    space = x.shape[2:]
    return result(_gather(x.value, window, places, fill), (x, lambda g: _scatter(g, window, space)))


def overlay(cells: Var, window: Window, space: Sizes) -> Var:
    """The reverse: what stands in every cell at every place, added up where the window would see it.

    ``[B, C, *places, *kernel]`` gives ``[B, C, *space]``; what falls into the padding is dropped.
    """
    places = cells.shape[2 : 2 + len(space)]
    return result(
        _scatter(cells.value, window, space), (cells, lambda g: _gather(g, window, places, fill=0.0))
    )


def _gather(x: Array, window: Window, places: Sizes, fill: float) -> Array:
    padded = np.pad(x, [(0, 0), (0, 0), *((pad, pad) for pad in window.padding)], constant_values=fill)
    cells = np.stack([padded[window.seen(cell, places)] for cell in window.cells()], axis=-1)
    return cells.reshape(*cells.shape[:-1], *window.kernel)


def _scatter(cells: Array, window: Window, space: Sizes) -> Array:
    padded = [size + 2 * pad for size, pad in zip(space, window.padding, strict=True)]
    places = cells.shape[2 : 2 + len(space)]
    spread = np.zeros((*cells.shape[:2], *padded), cells.dtype)
    flat = cells.reshape(*cells.shape[: 2 + len(space)], -1)
    for number, cell in enumerate(window.cells()):
        spread[window.seen(cell, places)] += flat[..., number]
    inner = [slice(pad, pad + size) for pad, size in zip(window.padding, space, strict=True)]
    return spread[(_ALL, _ALL, *inner)]
