"""Everything a recipe may ask for: name -> function on torch tensors.

Each uses only what PopTorch 3.4 can lower, changes nothing in place and never looks at a value. Where
PopART's gradient is not the language's, the function is written so that both agree: ties of a maximum go
where `where` sends them.
"""

from __future__ import annotations

from typing import Any, Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["FUNCTIONS"]


def _const(like: Tensor, value: float) -> Tensor:
    return like.new_full((), value)


def _difference(a: Tensor, b: Tensor) -> Tensor:
    """The same bits as of a subtraction, of which PopTorch makes four nodes, three of them dead."""
    return torch.add(a, torch.neg(b))


def _full(like: Tensor, shape: Sequence[int], value: float) -> Tensor:
    """One value for every sample."""
    return like.new_full((like.shape[0], *shape), value)


def _spread(x: Tensor, like: Tensor, shape: Sequence[int]) -> Tensor:
    """``x`` broadcast to every sample, of the given shape each."""
    return x.expand((like.shape[0], *shape))


def _reshape(x: Tensor, shape: Sequence[int]) -> Tensor:
    return x.reshape((x.shape[0], *shape))


def _nearest(x: Tensor, table: Tensor) -> Tensor:
    """The level of a table nearest to each element; the lower index at a tie; beyond the levels, the last."""
    inside = torch.minimum(torch.maximum(x, torch.amin(table, 0)), torch.amax(table, 0))
    index = torch.argmin((inside.unsqueeze(-1) - table).abs(), dim=-1)
    return torch.index_select(table, 0, index.reshape(-1)).reshape(x.shape)


def _conv(x: Tensor, weight: Tensor, *bias: Tensor, **how: Any) -> Tensor:
    kinds: dict[int, Callable[..., Tensor]] = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}
    return kinds[weight.dim()](x, weight, *bias, **how)


def _conv_transpose(x: Tensor, weight: Tensor, *bias: Tensor, **how: Any) -> Tensor:
    """PopTorch's has no dilation and no output_padding; a wider kernel and a window on the whole do."""
    stride, padding, longer = how["stride"], how["padding"], how["output_padding"]
    for axis, spread in enumerate(how["dilation"], start=2):
        weight = _dilated(weight, axis, spread)
    kinds: dict[int, Callable[..., Tensor]] = {3: F.conv_transpose1d, 4: F.conv_transpose2d}
    if not any(longer):
        return kinds[weight.dim()](x, weight, *bias, stride=stride, padding=padding, groups=how["groups"])
    y = kinds[weight.dim()](x, weight, stride=stride, groups=how["groups"])
    for axis, (step, pad, more) in enumerate(zip(stride, padding, longer), start=2):
        size = (x.shape[axis] - 1) * step - 2 * pad + weight.shape[axis] + more
        there = min(size, y.shape[axis] - pad)
        y = _padded(y.narrow(axis, pad, there), axis, size - there)
    return y + bias[0].reshape((-1,) + (1,) * len(stride)) if bias else y


def _dilated(weight: Tensor, axis: int, spread: int) -> Tensor:
    """A kernel with zeros between its cells."""
    if spread == 1:
        return weight
    sizes = list(weight.shape)
    sizes[axis] *= spread
    wide = _padded(weight.unsqueeze(axis + 1), axis + 1, spread - 1).reshape(sizes)
    return wide.narrow(axis, 0, sizes[axis] - spread + 1)


def _padded(x: Tensor, axis: int, count: int) -> Tensor:
    """Zeros after the end of an axis."""
    return F.pad(x, [0, 0] * (x.dim() - 1 - axis) + [0, count]) if count else x


def _bordered(x: Tensor, padding: list[int], fill: float) -> Tensor:
    """Something on both sides of every axis behind the channels."""
    if not any(padding):
        return x
    return F.pad(x, [pad for pads in reversed(padding) for pad in (pads, pads)], value=fill)


def _windows(
    x: Tensor, kernel: list[int], stride: list[int], padding: list[int], fill: float
) -> list[Tensor]:
    """Each position of a pooling window as a signal of its own, in row-major order."""
    x = _bordered(x, padding, fill)
    counts = [(size - k) // s + 1 for size, k, s in zip(x.shape[2:], kernel, stride)]
    found = [x]
    for axis, (count, k, s) in enumerate(zip(counts, kernel, stride), start=2):
        found = [_strided(y, axis, i, i + (count - 1) * s + 1, s) for y in found for i in range(k)]
    return found


def _strided(x: Tensor, axis: int, start: int, stop: int, step: int) -> Tensor:
    """One slice; ``x[:, :, start:stop:step]`` is one for each axis to PopTorch."""
    found: Tensor = torch.ops.aten.slice.Tensor(x, axis, start, stop, step)
    return found


def _max_pool(x: Tensor, kernel: list[int], stride: list[int], padding: list[int], fill: float) -> Tensor:
    """The first of the largest, by comparing one position after the other.

    PopART's own operation passes the gradient to all that are largest, and among spikes most are.
    """
    first, *others = _windows(x, kernel, stride, padding, fill)
    for other in others:
        first = torch.where(torch.gt(other, first), other, first)
    return first


def _max_pool_forward(x: Tensor, kernel: list[int], stride: list[int], padding: list[int]) -> Tensor:
    """The same values, where no gradient is asked for."""
    kinds: dict[int, Callable[..., Tensor]] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
    return kinds[len(kernel)](x, kernel, stride, padding)


def _avg_pool(x: Tensor, kernel: list[int], stride: list[int], padding: list[int]) -> Tensor:
    """Padded first: PopTorch pads other axes than it is told, unless the padding is the same on all."""
    kinds: dict[int, Callable[..., Tensor]] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
    return kinds[len(kernel)](_bordered(x, padding, 0.0), kernel, stride)


def _sum_pool(x: Tensor, kernel: list[int], stride: list[int], padding: list[int]) -> Tensor:
    first, *others = _windows(x, kernel, stride, padding, 0.0)
    for other in others:
        first = first + other
    return first


def _winner(x: Tensor, axis: int) -> Tensor:
    """1 at the first of the largest. By comparison: what an argmax does at a tie is not said.

    They are counted in single precision: PopTorch's cumulative sum is a convolution, which takes no other.
    """
    axis = axis if axis < 0 else axis + 1
    still = x.detach()
    one, none = still.new_full((), 1.0), still.new_full((), 0.0)
    largest = torch.where(torch.eq(still, still.amax(axis, keepdim=True)), one, none)
    first = torch.where(torch.gt(largest.float().cumsum(axis), 1.5), none, one)
    return largest * first


def _channel_mean(x: Tensor) -> Tensor:
    """``[B, C, ...]`` -> ``[C]``."""
    return x.mean([axis for axis in range(x.dim()) if axis != 1])


def _fold(x: Tensor) -> Tensor:
    """All steps as one batch: ``[B, T, ...]`` -> ``[B T, ...]``."""
    return x.reshape((-1, *x.shape[2:]))


def _unfold(x: Tensor, like: Tensor, shape: Sequence[int]) -> Tensor:
    """And back."""
    return x.reshape((like.shape[0], *shape))


def _row(x: Tensor, first: Tensor, index: int) -> Tensor:
    """The row of one step: ``[S, C]`` -> ``[C]``; the first step's number is the same for every sample."""
    return torch.index_select(x, 0, first.narrow(0, 0, 1) + index).reshape(x.shape[1:])


def _place(x: Tensor, rows: Tensor, first: Tensor, numbers: Tensor) -> Tensor:
    """``[S, C]`` with rows ``[C, T]`` in the place of those from the first step on; ``numbers`` counts S."""
    steps = first.narrow(0, 0, 1) + numbers.narrow(0, 0, rows.shape[1])
    one, none = x.new_full((), 1.0), x.new_full((), 0.0)
    there = torch.where(torch.eq(numbers.unsqueeze(1), steps), one, none)
    fresh = torch.matmul(there, rows.t())
    return torch.where(torch.gt(there.sum(1, keepdim=True), 0.5), fresh, x)


def _hits(classes: Tensor, numbers: Tensor) -> Tensor:
    """``[B]`` class numbers and ``[C]`` -> ``[B, C]``, true at the right class."""
    return torch.eq(classes.unsqueeze(-1), numbers)


FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    # equations
    "const": _const,
    "add": torch.add,
    "sub": _difference,
    "mul": torch.mul,
    "div": torch.div,
    "floordiv": lambda a, b: torch.floor(torch.div(a.detach(), b.detach())),
    "neg": torch.neg,
    "abs": torch.abs,
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "atan": torch.atan,
    "greater": torch.gt,
    "where": torch.where,
    "nearest": _nearest,
    "detach": lambda x: x.detach(),
    # shapes
    "full": _full,
    "spread": _spread,
    "reshape": _reshape,
    "view": lambda x, shape: x.reshape(shape),
    "pick": lambda x, index, axis: torch.index_select(x, axis + 1, index),
    "slice": lambda x, axis, start, stop: x.narrow(axis + 1, start, stop - start),
    "step": lambda x, index: x.select(1, index),
    "stack": lambda *xs: torch.stack(xs, 1),
    "concat": lambda *xs, axis: torch.cat(xs, axis + 1),
    "cast": lambda x, dtype: x.to(getattr(torch, dtype)),
    # layers
    "linear": F.linear,
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "max_pool": _max_pool,
    "max_pool_forward": _max_pool_forward,
    "avg_pool": _avg_pool,
    "sum_pool": _sum_pool,
    "winner": _winner,
    "matmul": torch.matmul,
    "row_mean": lambda x: x.mean(-1, keepdim=True),
    "channel_mean": _channel_mean,
    "fold": _fold,
    "unfold": _unfold,
    "row": _row,
    "place": _place,
    # losses
    "hits": _hits,
    "unsqueeze": lambda x, axis: x.unsqueeze(axis),
    "log_softmax": lambda x: torch.log_softmax(x, -1),
    "sum": lambda x, axes: x.sum(axes),
    "mean": lambda x: x.mean(),
    "total": lambda x: x.sum(),
    "first": lambda x: x.select(0, 0),
}
