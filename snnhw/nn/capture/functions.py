"""Torch's functions and methods as ops: tables that capture reads."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch.nn import functional as F

from snnhw.errors import CaptureError
from snnhw.ir import (
    Add,
    AvgPool1d,
    AvgPool2d,
    FrozenMap,
    MaxPool1d,
    MaxPool2d,
    Pointwise,
    var,
)
from snnhw.nn.capture import pointwise
from snnhw.nn.capture.functional import (
    adaptive_avg_pool,
    avg_pool,
    cat,
    chunk,
    flatten,
    interpolate,
    matmul,
    max_pool,
    mean,
    part,
    split,
    squeeze,
    unflatten,
    unsqueeze,
    view,
)
from snnhw.nn.capture.signals import BatchSize, Converted, Signal, described

__all__ = ["ARITHMETIC", "FUNCTIONS", "METHODS"]


def _size(x: Signal, dim: int | None = None) -> Any:
    return x.sizes if dim is None else _item(x.sizes, dim)


def _item(value: Any, index: Any) -> Any:
    if isinstance(value, Signal):
        return part(value, index)
    if not isinstance(value, (tuple, list)):
        raise CaptureError(f"{described(value)} cannot be indexed")
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
    operator.matmul: matmul,
    torch.matmul: matmul,
    torch.bmm: matmul,
    torch.cat: cat,
    torch.concat: cat,
    torch.concatenate: cat,
    operator.getitem: _item,
    getattr: _attribute,
}
"""Function -> converter over arguments of any kind."""

FUNCTIONS: Final[Mapping[Any, Callable[..., Any]]] = {
    operator.neg: pointwise.negative,
    torch.neg: pointwise.negative,
    operator.abs: pointwise.magnitude,
    torch.abs: pointwise.magnitude,
    torch.clamp: pointwise.clamp,
    torch.clip: pointwise.clamp,
    torch.exp: pointwise.exp,
    torch.relu: pointwise.relu,
    torch.sigmoid: pointwise.sigmoid,
    torch.square: pointwise.square,
    torch.tanh: pointwise.tanh,
    F.elu: pointwise.elu,
    F.hardtanh: pointwise.hardtanh,
    F.leaky_relu: pointwise.leaky_relu,
    F.relu: pointwise.relu,
    F.relu6: pointwise.relu6,
    F.sigmoid: pointwise.sigmoid,
    F.silu: pointwise.silu,
    F.tanh: pointwise.tanh,
    torch.flatten: flatten,
    torch.mean: mean,
    torch.squeeze: squeeze,
    torch.unsqueeze: unsqueeze,
    F.max_pool1d: max_pool(MaxPool1d),
    F.max_pool2d: max_pool(MaxPool2d),
    F.avg_pool1d: avg_pool(AvgPool1d),
    F.avg_pool2d: avg_pool(AvgPool2d),
    F.adaptive_avg_pool1d: adaptive_avg_pool(AvgPool1d),
    F.adaptive_avg_pool2d: adaptive_avg_pool(AvgPool2d),
    F.interpolate: interpolate,
    torch.unflatten: unflatten,
    torch.chunk: chunk,
    torch.split: split,
}
"""Function -> converter over a signal and plain values."""

METHODS: Final[Mapping[str, Callable[..., Any]]] = {
    "add": _add,
    "sub": _SUB,
    "mul": _MUL,
    "div": _DIV,
    "flatten": flatten,
    "unflatten": unflatten,
    "view": view,
    "reshape": view,
    "chunk": chunk,
    "split": split,
    "matmul": matmul,
    "bmm": matmul,
    "size": _size,
    "dim": lambda x: len(x.sizes),
    "mean": mean,
    "squeeze": squeeze,
    "unsqueeze": unsqueeze,
    "abs": pointwise.magnitude,
    "clamp": pointwise.clamp,
    "clip": pointwise.clamp,
    "exp": pointwise.exp,
    "neg": pointwise.negative,
    "relu": pointwise.relu,
    "sigmoid": pointwise.sigmoid,
    "square": pointwise.square,
    "tanh": pointwise.tanh,
}
"""Tensor method -> converter over a signal and plain values."""
