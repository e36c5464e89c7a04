"""Torch's functions that pool values or move them about, as ops."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, Final

from snnhw.errors import CaptureError
from snnhw.ir import (
    AvgPool1d,
    AvgPool2d,
    Concat,
    Flatten,
    MatMul,
    MaxPool1d,
    MaxPool2d,
    Slice,
    SumPool1d,
    SumPool2d,
    Unflatten,
    Upsample,
)
from snnhw.nn.capture.signals import Converted, Signal, described

__all__ = [
    "adaptive_avg_pool",
    "avg_pool",
    "cat",
    "chunk",
    "flatten",
    "interpolate",
    "matmul",
    "max_pool",
    "mean",
    "only",
    "part",
    "sizes",
    "split",
    "squeeze",
    "sum_pool",
    "unflatten",
    "unsqueeze",
    "view",
]

Converter = Callable[..., Any]
Pool = MaxPool1d | MaxPool2d | AvgPool1d | AvgPool2d | SumPool1d | SumPool2d

SUMS: Final[Mapping[type[AvgPool1d | AvgPool2d], type[SumPool1d | SumPool2d]]] = {
    AvgPool1d: SumPool1d,
    AvgPool2d: SumPool2d,
}
"""Pool of means -> the one whose windows are not divided."""

MODES: Final = {"nearest": 0, "nearest-exact": 0, "linear": 1, "bilinear": 2, "trilinear": 3}
"""Mode of `interpolate` -> how many axes it is for; 0: any number."""


def sizes(value: Any, rank: int) -> tuple[int, ...]:
    """What torch takes as one number for all axes, or as one for each."""
    given = (value,) if isinstance(value, int) else tuple(value)
    return given * rank if len(given) == 1 else given


def only(**given: tuple[Any, Any]) -> None:
    """Refuse options that differ from the only value supported."""
    for name, (value, supported) in given.items():
        if value != supported:
            raise CaptureError(f"{name}={value!r} is not supported; use {supported!r}")


def _axis(x: Signal, dim: int) -> int:
    """The axis of a sample that torch calls ``dim``."""
    axes = len(x.shape) + 1
    if not isinstance(dim, int) or not -axes <= dim < axes:
        raise CaptureError(f"there is no axis {dim!r} among the {axes} of {list(x.sizes)}")
    if dim % axes == 0:
        raise CaptureError("axis 0 is the batch, and samples stay apart; give another axis")
    return dim % axes - 1


# -- pools ------------------------------------------------------------------------------------------


def max_pool(kind: type[MaxPool1d | MaxPool2d]) -> Converter:
    """`torch.nn.functional.max_pool1d` or ``2d``."""

    def convert(
        x: Signal,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        *rest: Any,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Converted:
        only(rest=(rest, ()), dilation=(sizes(dilation, kind.rank), (1,) * kind.rank))
        only(ceil_mode=(ceil_mode, False), return_indices=(return_indices, False))
        return _pooled(kind, x, kernel_size, stride, padding)

    return convert


def avg_pool(kind: type[AvgPool1d | AvgPool2d]) -> Converter:
    """`torch.nn.functional.avg_pool1d` or ``2d``."""

    def convert(
        x: Signal,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        *rest: Any,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: Any = None,
    ) -> Converted:
        only(rest=(rest, ()), ceil_mode=(ceil_mode, False))
        summed = divisor_override == 1
        if not summed:
            only(divisor_override=(divisor_override, None))
        if any(sizes(padding, kind.rank)) and not summed:
            only(count_include_pad=(count_include_pad, True))
        return _pooled(SUMS[kind] if summed else kind, x, kernel_size, stride, padding)

    return convert


def sum_pool(kind: type[SumPool1d | SumPool2d]) -> Converter:
    """`torch.nn.LPPool1d` or ``2d`` of norm 1, which adds up."""

    def convert(
        x: Signal, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
    ) -> Converted:
        only(norm_type=(norm_type, 1), ceil_mode=(ceil_mode, False))
        return _pooled(kind, x, kernel_size, stride, 0)

    return convert


def _pooled(kind: type[Pool], x: Signal, kernel_size: Any, stride: Any, padding: Any) -> Converted:
    """A pool. A sample without an axis for channels has one channel, as in torch."""
    op = kind(*(sizes(item, kind.rank) for item in (kernel_size, stride or kernel_size, padding)))
    if len(x.shape) != kind.rank:
        return Converted(op, {"x": (x.port,)})
    return Converted(Unflatten(0, (1, x.shape[0])), {"x": (x.port,)}, then=(op, Flatten(0, 1)))


def adaptive_avg_pool(kind: type[AvgPool1d | AvgPool2d]) -> Converter:
    """`torch.nn.functional.adaptive_avg_pool1d` or ``2d``, where all windows are of one size."""

    def convert(x: Signal, output_size: Any) -> Converted:
        space, given = x.shape[-kind.rank :], sizes(output_size, kind.rank)
        wanted = [size if one is None else one for one, size in zip(given, space, strict=True)]
        if any(size % one for one, size in zip(wanted, space, strict=True)):
            raise CaptureError(f"output_size={output_size!r} does not cut {list(space)} into equal windows")
        kernel = tuple(size // one for one, size in zip(wanted, space, strict=True))
        return Converted(kind(kernel, kernel), {"x": (x.port,)})

    return convert


def mean(x: Signal, dim: Any = None, keepdim: bool = False) -> Converted:
    """`torch.mean` over all axes behind the channels, of which there are one or two."""
    given = () if dim is None else dim if isinstance(dim, (tuple, list)) else (dim,)
    axes = sorted(_axis(x, one) for one in given)
    kind = {1: AvgPool1d, 2: AvgPool2d}.get(len(axes))
    if kind is None or axes != list(range(1, len(x.shape))):
        raise CaptureError(
            f"mean over {dim!r} of {list(x.sizes)} is not supported, only over all axes behind the channels; "
            "use a Linear, or compute it outside"
        )
    window = x.shape[1:]
    return Converted(kind(window, window), {"x": (x.port,)}, then=() if keepdim else (Flatten(),))


# -- shapes -----------------------------------------------------------------------------------------


def flatten(x: Signal, start_dim: int = 0, end_dim: int = -1) -> Converted:
    """`torch.flatten`."""
    axes = len(x.shape) + 1
    start, end = (dim + axes if dim < 0 else dim for dim in (start_dim, end_dim))
    if start == 0:
        raise CaptureError("flattening the batch axis mixes samples; give start_dim=1")
    if not 0 < start <= end < axes:
        raise CaptureError(f"flatten({start_dim}, {end_dim}) does not fit a tensor of {axes} axes")
    return Converted(Flatten(start - 1, -1 if end == axes - 1 else end - 1), {"x": (x.port,)})


def unflatten(x: Signal, dim: int, sizes: Any) -> Converted:
    """`torch.Tensor.unflatten`; one of the sizes may be -1."""
    axis, given = _axis(x, dim), tuple(sizes)
    rest = prod(size for size in given if size != -1)
    filled = tuple(x.shape[axis] // rest if size == -1 else size for size in given)
    return Converted(Unflatten(axis, filled), {"x": (x.port,)})


def squeeze(x: Signal, dim: int | None = None) -> Converted | Signal:
    """`torch.squeeze` of one axis."""
    if dim is None:
        raise CaptureError("squeeze without an axis may take the batch away; give one")
    axis = _axis(x, dim)
    if x.shape[axis] != 1:
        return x
    if len(x.shape) == 1:
        raise CaptureError(f"squeeze({dim}) of {list(x.sizes)} leaves samples without an axis; keep it")
    start = max(axis - 1, 0)
    return Converted(Flatten(start, start + 1), {"x": (x.port,)})


def unsqueeze(x: Signal, dim: int) -> Converted:
    """`torch.unsqueeze`."""
    axes = len(x.shape) + 2
    if not isinstance(dim, int) or not -axes <= dim < axes or dim % axes == 0 or not x.shape:
        raise CaptureError(f"unsqueeze({dim!r}) of {list(x.sizes)}: give an axis behind the batch")
    axis = dim % axes - 1
    ahead = axis < len(x.shape)
    place = axis if ahead else axis - 1
    size = x.shape[place]
    return Converted(Unflatten(place, (1, size) if ahead else (size, 1)), {"x": (x.port,)})


def view(x: Signal, *sizes: Any) -> Converted:
    """`torch.Tensor.view` and ``reshape``: to flatten a sample, or to give a flat one axes."""
    given = tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes
    count, batch_kept = prod(x.shape), given[:1] in ((x.batch,), (-1,))
    if batch_kept and len(given) == 2 and given[1] in ((count,) if given[0] == -1 else (count, -1)):
        return Converted(Flatten(), {"x": (x.port,)})
    whole = -1 not in given[1:] or given[0] != -1
    if batch_kept and len(given) > 2 and len(x.shape) == 1 and whole:
        return unflatten(x, 1, given[1:])
    raise CaptureError(
        f"a view of {list(x.sizes)} as {list(given)} is not supported, only one that keeps the batch and "
        "flattens the rest, or gives axes to a flat rest; use flatten(1) and unflatten(1, sizes)"
    )


def interpolate(
    x: Signal,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    *,
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,  # noqa: ARG001  # the same, for whole factors
    antialias: bool = False,
) -> Converted:
    """`torch.nn.functional.interpolate` by whole factors."""
    only(align_corners=(bool(align_corners), False), antialias=(antialias, False))
    rank = len(x.shape) - 1
    if MODES.get(mode) not in (0, rank):
        raise CaptureError(
            f"mode={mode!r} is not supported for {list(x.sizes)}; use 'nearest', or linear for its axes"
        )
    if size is None:
        wanted = scale_factor if isinstance(scale_factor, (tuple, list)) else (scale_factor,) * rank
    else:
        wanted = [one / before for one, before in zip(sizes(size, rank), x.shape[1:], strict=True)]
    if any(factor is None or factor < 1 or factor != int(factor) for factor in wanted):
        raise CaptureError(
            f"size={size!r}, scale_factor={scale_factor!r} is not supported; every axis grows by a whole "
            "factor"
        )
    factors = tuple(int(factor) for factor in wanted)
    return Converted(Upsample(factors, "linear" if MODES[mode] else "nearest"), {"x": (x.port,)})


# -- parts ------------------------------------------------------------------------------------------


def cat(tensors: Sequence[Any], dim: int = 0) -> Converted:
    """`torch.cat`."""
    for item in tensors:
        if not isinstance(item, Signal):
            raise CaptureError(f"cat takes signals, not {described(item)}")
    axis = _axis(tensors[0], dim)
    if len({len(item.shape) for item in tensors}) > 1:
        raise CaptureError(f"cat takes signals of one rank, not {[list(item.sizes) for item in tensors]}")
    op = Concat(axis, tuple(item.shape[axis] for item in tensors))
    return Converted(op, {port: (item.port,) for port, item in zip(op.in_ports, tensors, strict=True)})


def chunk(x: Signal, chunks: int, dim: int = 0) -> tuple[Converted, ...]:
    """`torch.chunk`."""
    return split(x, -(-x.shape[_axis(x, dim)] // chunks), dim)


def split(x: Signal, split_size_or_sections: Any, dim: int = 0) -> tuple[Converted, ...]:
    """`torch.split`."""
    axis, given = _axis(x, dim), split_size_or_sections
    size = x.shape[axis]
    if isinstance(given, int):
        ends = [min(end + given, size) for end in range(0, size, given)]
    else:
        ends = [sum(given[: number + 1]) for number in range(len(given))]
        only(**{"the sum of sections": (ends[-1], size)})
    return tuple(
        Converted(Slice(axis, start, end), {"x": (x.port,)})
        for start, end in zip([0, *ends], ends, strict=False)
    )


def part(x: Signal, index: Any) -> Converted | Signal:
    """``x[:, a:b]``: a slice along one axis."""
    given = list(index) if isinstance(index, tuple) else [index]
    if Ellipsis in given:
        place = given.index(Ellipsis)
        given[place : place + 1] = [slice(None)] * (len(x.shape) + 2 - len(given))
    cut = [(dim, item) for dim, item in enumerate(given) if item != slice(None)]
    if len(given) > len(x.shape) + 1 or not all(isinstance(item, slice) for _, item in cut) or len(cut) > 1:
        raise CaptureError(
            f"a signal [B, ...] is indexed with one slice, as in x[:, 0:3], not with {_shown(index)}; take "
            "several slices one after the other, and flatten an axis of size 1 away"
        )
    if not cut:
        return x
    ((dim, item),) = cut
    axis = _axis(x, dim)
    start, stop, step = item.indices(x.shape[axis])
    only(step=(step, 1))
    return Converted(Slice(axis, start, stop), {"x": (x.port,)})


def _shown(index: Any) -> str:
    items = index if isinstance(index, tuple) else (index,)
    return ", ".join(described(item) for item in items)


def matmul(a: Any, b: Any) -> Converted:
    """`torch.matmul` of two signals."""
    for item in (a, b):
        if not isinstance(item, Signal):
            raise CaptureError(f"a product of matrices takes signals, not {described(item)}")
    return Converted(MatMul(), {"a": (a.port,), "b": (b.port,)})
