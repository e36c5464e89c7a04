"""Torch's functions and methods as ops: tables that capture reads."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from math import prod
from typing import Any, Final

import torch
from torch.nn import functional as F

from snnhw.errors import CaptureError
from snnhw.ir import Add, AvgPool2d, Expr, Flatten, FrozenMap, MaxPool2d, Pointwise, expr, var
from snnhw.nn.signals import BatchSize, Converted, Signal, described

__all__ = [
    "ARITHMETIC",
    "FUNCTIONS",
    "METHODS",
    "avg_pool2d",
    "flatten",
    "max_pool2d",
    "pair",
    "relu",
    "sigmoid",
    "tanh",
]


def pair(value: Any) -> tuple[int, int]:
    """What torch takes as one number for both axes, or as two."""
    both = (value, value) if isinstance(value, int) else tuple(value)
    return both[0], both[-1]


def _only(**given: tuple[Any, Any]) -> None:
    """Refuse options that differ from the only value supported."""
    for name, (value, supported) in given.items():
        if value != supported:
            raise CaptureError(f"{name}={value!r} is not supported; use {supported!r}")


# -- pools and shapes -------------------------------------------------------------------------------


def max_pool2d(
    x: Signal,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *rest: Any,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Converted:
    """`torch.nn.functional.max_pool2d`."""
    _only(rest=(rest, ()), dilation=(pair(dilation), (1, 1)))
    _only(ceil_mode=(ceil_mode, False), return_indices=(return_indices, False))
    op = MaxPool2d(pair(kernel_size), pair(stride or kernel_size), pair(padding))
    return Converted(op, {"x": (x.port,)})


def avg_pool2d(
    x: Signal,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    *rest: Any,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: Any = None,
) -> Converted:
    """`torch.nn.functional.avg_pool2d`."""
    _only(rest=(rest, ()), ceil_mode=(ceil_mode, False), divisor_override=(divisor_override, None))
    if pair(padding) != (0, 0):
        _only(count_include_pad=(count_include_pad, True))
    op = AvgPool2d(pair(kernel_size), pair(stride or kernel_size), pair(padding))
    return Converted(op, {"x": (x.port,)})


def flatten(x: Signal, start_dim: int = 0, end_dim: int = -1) -> Converted:
    """`torch.flatten`."""
    axes = len(x.shape) + 1
    start, end = (dim + axes if dim < 0 else dim for dim in (start_dim, end_dim))
    if start == 0:
        raise CaptureError("flattening the batch axis mixes samples; give start_dim=1")
    if not 0 < start <= end < axes:
        raise CaptureError(f"flatten({start_dim}, {end_dim}) does not fit a tensor of {axes} axes")
    return Converted(Flatten(start - 1, -1 if end == axes - 1 else end - 1), {"x": (x.port,)})


def _view(x: Signal, *sizes: Any) -> Converted:
    given = tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes
    count = prod(x.shape)
    batch_kept = given[:1] in ((x.batch,), (-1,))
    if len(given) != 2 or not batch_kept or given[1] not in ((count,) if given[0] == -1 else (count, -1)):
        raise CaptureError(
            f"a view of {list(x.sizes)} as {list(given)} is not supported, only one that keeps the batch and "
            "flattens the rest; use flatten(1)"
        )
    return Converted(Flatten(), {"x": (x.port,)})


def _size(x: Signal, dim: int | None = None) -> Any:
    return x.sizes if dim is None else _item(x.sizes, dim)


def _item(value: Any, index: Any) -> Any:
    if not isinstance(value, (tuple, list)):
        raise CaptureError("indexing a signal is not supported")
    try:
        return value[index]
    except (IndexError, TypeError):
        raise CaptureError(f"there is no item {index!r} among {len(value)}") from None


def _attribute(value: Any, name: str) -> Any:
    if isinstance(value, Signal) and name == "shape":
        return value.sizes
    if isinstance(value, Signal) and name == "ndim":
        return len(value.sizes)
    raise CaptureError(f"the attribute '{name}' of a signal cannot be captured")


# -- pointwise --------------------------------------------------------------------------------------


def _unary(function: Callable[[Expr], Expr]) -> Callable[..., Converted]:
    def convert(x: Signal, inplace: bool = False) -> Converted:  # noqa: ARG001  # a program has no places
        return Converted(Pointwise(FrozenMap({"y": function(var("x"))})), {"x": (x.port,)})

    return convert


relu = _unary(lambda x: expr.maximum(x, 0.0))
sigmoid = _unary(expr.sigmoid)
tanh = _unary(expr.tanh)


def _add(a: Any, b: Any) -> Any:
    if isinstance(a, Signal) and isinstance(b, Signal) and a.shape == b.shape:
        return Converted(Add(), {"x": (a.port, b.port)})
    return _binary(operator.add)(a, b)


def _binary(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def convert(a: Any, b: Any) -> Any:
        for item in (a, b):
            if isinstance(item, (bool, BatchSize)) or not isinstance(item, (Signal, int, float)):
                raise CaptureError(f"arithmetic takes signals and numbers, not {_operand(item)}")
        signals = {name: item for name, item in (("a", a), ("b", b)) if isinstance(item, Signal)}
        if not signals:
            return function(a, b)
        if len({len(item.shape) for item in signals.values()}) > 1:
            shapes = " and ".join(str(list(item.sizes)) for item in signals.values())
            raise CaptureError(
                f"signals of different ranks, {shapes}, would mix samples; give them the same rank"
            )
        operands = [var(name) if name in signals else item for name, item in (("a", a), ("b", b))]
        op = Pointwise(FrozenMap({"y": function(*operands)}), ports=tuple(signals))
        return Converted(op, {name: (item.port,) for name, item in signals.items()})

    return convert


def _operand(item: Any) -> str:
    return (
        "the size of the batch, which a program does not know"
        if isinstance(item, BatchSize)
        else described(item)
    )


_SUB, _MUL, _DIV = (_binary(function) for function in (operator.sub, operator.mul, operator.truediv))

ARITHMETIC: Final[Mapping[Any, Callable[..., Any]]] = {
    operator.add: _add,
    operator.sub: _SUB,
    operator.mul: _MUL,
    operator.truediv: _DIV,
    torch.add: _add,
    torch.sub: _SUB,
    torch.mul: _MUL,
    torch.div: _DIV,
    operator.getitem: _item,
    getattr: _attribute,
}
"""Function -> converter over arguments of any kind."""

FUNCTIONS: Final[Mapping[Any, Callable[..., Any]]] = {
    operator.neg: _unary(operator.neg),
    torch.flatten: flatten,
    torch.relu: relu,
    F.relu: relu,
    torch.sigmoid: sigmoid,
    torch.tanh: tanh,
    F.max_pool2d: max_pool2d,
    F.avg_pool2d: avg_pool2d,
}
"""Function -> converter over a signal and plain values."""

METHODS: Final[Mapping[str, Callable[..., Any]]] = {
    "add": _add,
    "sub": _SUB,
    "mul": _MUL,
    "div": _DIV,
    "flatten": flatten,
    "view": _view,
    "reshape": _view,
    "size": _size,
    "dim": lambda x: len(x.sizes),
    "relu": relu,
    "sigmoid": sigmoid,
    "tanh": tanh,
}
"""Tensor method -> converter over a signal and plain values."""
