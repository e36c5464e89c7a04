"""Torch's layers as ops: a table that capture reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from torch import nn

from snnhw.errors import CaptureError
from snnhw.ir import Conv2d, Linear, Op
from snnhw.nn.functions import avg_pool2d, flatten, max_pool2d, pair, relu, sigmoid, tanh
from snnhw.nn.signals import Converted, Signal

__all__ = ["MODULES", "host"]


def host(module: nn.Module, name: str) -> Any:
    """A module's parameter as a host array of its own."""
    tensor = getattr(module, name).detach().cpu()
    if tensor.element_size() < 4:  # NumPy lacks bfloat16
        tensor = tensor.float()
    return tensor.numpy().copy()


def _weighted(op: Op, x: Signal, module: nn.Module) -> Converted:
    return Converted(op, {"x": (x.port,)}, {name: host(module, name) for name in op.params()})


def _linear(module: nn.Linear, x: Signal) -> Converted:
    return _weighted(Linear(module.in_features, module.out_features, module.bias is not None), x, module)


def _conv2d(module: nn.Conv2d, x: Signal) -> Converted:
    if module.padding_mode != "zeros":
        raise CaptureError(f"padding_mode={module.padding_mode!r} is not supported; use 'zeros'")
    op = Conv2d(
        module.in_channels,
        module.out_channels,
        kernel=pair(module.kernel_size),
        stride=pair(module.stride),
        padding=_padding(module),
        dilation=pair(module.dilation),
        groups=module.groups,
        bias=module.bias is not None,
    )
    return _weighted(op, x, module)


def _padding(module: nn.Conv2d) -> tuple[int, int]:
    if module.padding == "valid":
        return (0, 0)
    if module.padding == "same":
        spans = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
        if any(span % 2 for span in spans):
            raise CaptureError("padding='same' with an even kernel pads one side more; give a number")
        return (spans[0] // 2, spans[1] // 2)
    return pair(module.padding)


def _max_pool2d(module: nn.MaxPool2d, x: Signal) -> Converted:
    names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
    return max_pool2d(x, **{name: getattr(module, name) for name in names})


def _avg_pool2d(module: nn.AvgPool2d, x: Signal) -> Converted:
    names = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
    return avg_pool2d(x, **{name: getattr(module, name) for name in names})


MODULES: Final[Mapping[type[nn.Module], Callable[[Any, Signal], Converted | Signal]]] = {
    nn.Linear: _linear,
    nn.Conv2d: _conv2d,
    nn.MaxPool2d: _max_pool2d,
    nn.AvgPool2d: _avg_pool2d,
    nn.Flatten: lambda module, x: flatten(x, module.start_dim, module.end_dim),
    nn.Identity: lambda module, x: x,
    nn.ReLU: lambda module, x: relu(x),
    nn.Sigmoid: lambda module, x: sigmoid(x),
    nn.Tanh: lambda module, x: tanh(x),
}
"""Layer type -> what it is in a program."""
