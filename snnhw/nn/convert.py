"""Torch's layers and functions as ops: tables that capture reads."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from snnhw.errors import CaptureError
from snnhw.ir import (
    Add,
    AvgPool2d,
    Conv2d,
    Expr,
    Flatten,
    Linear,
    MaxPool2d,
    Op,
    Params,
    Pointwise,
    Shape,
    expr,
    var,
)

__all__ = ["FUNCTIONS", "METHODS", "MODULES", "Converted", "Signal"]


class Signal(NamedTuple):
    """A port, and the shape of one sample there."""

    port: str
    shape: Shape


@dataclass(frozen=True)
class Converted:
    """An op to add, the ports that arrive at each of its inputs, and its parameters."""

    op: Op
    arriving: Mapping[str, tuple[str, ...]]
    params: Params = field(default_factory=dict)


def _layer(op: Op, x: Signal, module: nn.Module | None = None) -> Converted:
    params = {}
    for name in op.params():
        params[name] = getattr(module, name).detach().cpu().numpy().copy()
    return Converted(op, {"x": (x.port,)}, params)


# -- modules ----------------------------------------------------------------------------------------


def _linear(module: nn.Linear, x: Signal) -> Converted:
    return _layer(Linear(module.in_features, module.out_features, module.bias is not None), x, module)


def _conv2d(module: nn.Conv2d, x: Signal) -> Converted:
    if module.padding_mode != "zeros":
        raise CaptureError(f"padding_mode={module.padding_mode!r} is not supported; use 'zeros'")
    op = Conv2d(
        module.in_channels,
        module.out_channels,
        kernel=_pair(module.kernel_size),
        stride=_pair(module.stride),
        padding=_padding(module),
        dilation=_pair(module.dilation),
        groups=module.groups,
        bias=module.bias is not None,
    )
    return _layer(op, x, module)


def _padding(module: nn.Conv2d) -> tuple[int, int]:
    if module.padding == "valid":
        return (0, 0)
    if module.padding == "same":
        spans = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
        if any(span % 2 for span in spans):
            raise CaptureError("padding='same' with an even kernel pads one side more; give a number")
        return (spans[0] // 2, spans[1] // 2)
    return _pair(module.padding)


def _flatten_module(module: nn.Flatten, x: Signal) -> Converted:
    return _flatten(x, module.start_dim, module.end_dim)


def _max_pool_module(module: nn.MaxPool2d, x: Signal) -> Converted:
    return _max_pool2d(
        x,
        module.kernel_size,
        module.stride,
        module.padding,
        module.dilation,
        module.ceil_mode,
        module.return_indices,
    )


def _avg_pool_module(module: nn.AvgPool2d, x: Signal) -> Converted:
    return _avg_pool2d(
        x,
        module.kernel_size,
        module.stride,
        module.padding,
        module.ceil_mode,
        module.count_include_pad,
        module.divisor_override,
    )


MODULES: Final[Mapping[type[nn.Module], Callable[[Any, Signal], Converted | Signal]]] = {
    nn.Linear: _linear,
    nn.Conv2d: _conv2d,
    nn.MaxPool2d: _max_pool_module,
    nn.AvgPool2d: _avg_pool_module,
    nn.Flatten: _flatten_module,
    nn.Identity: lambda module, x: x,
    nn.ReLU: lambda module, x: _relu(x),
    nn.Sigmoid: lambda module, x: _unary(expr.sigmoid)(x),
    nn.Tanh: lambda module, x: _unary(expr.tanh)(x),
}
"""Layer type -> what it is in a program."""


# -- functions and methods --------------------------------------------------------------------------


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)  # type: ignore[return-value]  # two, by torch's own check


def _plain(**given: tuple[Any, Any]) -> None:
    """Refuse options that differ from the only value supported."""
    for name, (value, supported) in given.items():
        if value != supported:
            raise CaptureError(f"{name}={value!r} is not supported; use {supported!r}")


def _max_pool2d(
    x: Signal,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Converted:
    _plain(
        dilation=(_pair(dilation), (1, 1)),
        ceil_mode=(ceil_mode, False),
        return_indices=(return_indices, False),
    )
    op = MaxPool2d(_pair(kernel_size), _pair(stride or kernel_size), _pair(padding))
    return _layer(op, x)


def _avg_pool2d(
    x: Signal,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: Any = None,
) -> Converted:
    _plain(ceil_mode=(ceil_mode, False), divisor_override=(divisor_override, None))
    if _pair(padding) != (0, 0):
        _plain(count_include_pad=(count_include_pad, True))
    op = AvgPool2d(_pair(kernel_size), _pair(stride or kernel_size), _pair(padding))
    return _layer(op, x)


def _flatten(x: Signal, start_dim: int = 0, end_dim: int = -1) -> Converted:
    axes = len(x.shape) + 1
    start, end = start_dim % axes, end_dim % axes
    if start == 0:
        raise CaptureError("flattening the batch axis mixes samples; give start_dim=1")
    return _layer(Flatten(start - 1, end - 1), x)


class _Size(NamedTuple):
    """Stands for a tensor's shape while it is traced."""

    shape: Shape


BATCH: Final = object()
"""Stands for the batch size, which a program does not know."""


def _size(x: Signal, dim: int | None = None) -> Any:
    whole = _Size(x.shape)
    return whole if dim is None else _item(whole, dim)


def _item(value: Any, index: int) -> Any:
    if isinstance(value, _Size):
        return BATCH if index in (0, -len(value.shape) - 1) else (BATCH, *value.shape)[index]
    if isinstance(value, tuple) and not isinstance(value, Signal):
        return value[index]
    raise CaptureError("indexing a signal is not supported")


def _attribute(value: Any, name: str) -> Any:
    if isinstance(value, Signal) and name == "shape":
        return _Size(value.shape)
    raise CaptureError(f"the attribute '{name}' of a signal cannot be captured")


def _view(x: Signal, *sizes: Any) -> Converted:
    wanted = sizes[0] if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes
    flat = len(wanted) == 2 and (wanted[0] is BATCH or wanted[0] == -1 or wanted[1] == -1)
    if not flat or wanted[1] not in (-1, _count(x.shape)):
        raise CaptureError(
            "only views that keep the batch and flatten the rest are supported; use flatten(1)"
        )
    return _layer(Flatten(), x)


def _count(shape: Shape) -> int:
    total = 1
    for size in shape:
        total *= size
    return total


def _unary(function: Callable[[Expr], Expr]) -> Callable[..., Converted]:
    def convert(x: Signal, inplace: bool = False) -> Converted:
        return Converted(Pointwise({"y": function(var("x"))}), {"x": (x.port,)})  # type: ignore[arg-type]  # frozen by the op

    return convert


_relu = _unary(lambda x: expr.maximum(x, 0.0))


def _add(a: Any, b: Any) -> Converted:
    if isinstance(a, Signal) and isinstance(b, Signal) and a.shape == b.shape:
        return Converted(Add(), {"x": (a.port, b.port)})
    return _binary(operator.add)(a, b)


def _binary(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Converted]:
    def convert(a: Any, b: Any) -> Converted:
        operands, arriving = [], {}
        for name, item in (("a", a), ("b", b)):
            if isinstance(item, Signal):
                operands.append(var(name))
                arriving[name] = (item.port,)
            elif isinstance(item, (int, float)):
                operands.append(expr.const(item))
            else:
                raise CaptureError(f"arithmetic takes signals and numbers, not {item!r}")
        op = Pointwise({"y": function(*operands)}, ports=tuple(arriving))  # type: ignore[arg-type]  # frozen by the op
        return Converted(op, arriving)

    return convert


_ARITHMETIC = {"sub": operator.sub, "mul": operator.mul, "truediv": operator.truediv}

FUNCTIONS: Final[Mapping[Any, Callable[..., Any]]] = {
    operator.add: _add,
    torch.add: _add,
    **{function: _binary(function) for function in _ARITHMETIC.values()},
    **{getattr(torch, name): _binary(_ARITHMETIC[name]) for name in ("sub", "mul")},
    torch.div: _binary(operator.truediv),
    operator.neg: _unary(operator.neg),
    operator.getitem: _item,
    getattr: _attribute,
    torch.flatten: _flatten,
    torch.relu: _relu,
    F.relu: _relu,
    torch.sigmoid: _unary(expr.sigmoid),
    torch.tanh: _unary(expr.tanh),
    F.max_pool2d: _max_pool2d,
    F.avg_pool2d: _avg_pool2d,
}
"""Function -> converter over resolved arguments."""

METHODS: Final[Mapping[str, Callable[..., Any]]] = {
    "add": _add,
    "sub": _binary(operator.sub),
    "mul": _binary(operator.mul),
    "flatten": _flatten,
    "view": _view,
    "reshape": _view,
    "size": _size,
    "relu": _relu,
    "sigmoid": _unary(expr.sigmoid),
    "tanh": _unary(expr.tanh),
}
"""Tensor method -> converter over resolved arguments."""
