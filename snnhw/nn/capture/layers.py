"""Torch's layers as ops: a table that capture reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
from torch import Tensor, nn

from snnhw.errors import CaptureError
from snnhw.ir import (
    Add,
    AvgPool1d,
    AvgPool2d,
    BatchNorm,
    BatchNorm1d,
    BatchNorm2d,
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    Dropout,
    LayerNorm,
    Linear,
    MaxPool1d,
    MaxPool2d,
    Op,
    Scale,
    SumPool1d,
    SumPool2d,
    Table,
)
from snnhw.nn.capture import pointwise
from snnhw.nn.capture.functional import (
    adaptive_avg_pool,
    avg_pool,
    flatten,
    interpolate,
    max_pool,
    only,
    sizes,
    sum_pool,
    unflatten,
)
from snnhw.nn.capture.signals import Converted, Signal
from snnhw.nn.modules import norm_dropout
from snnhw.nn.modules.delay import Delay
from snnhw.nn.modules.graded import GradedSpikes
from snnhw.nn.modules.norm_dropout import BatchNormTT, BatchNormTT1d, BatchNormTT2d

__all__ = ["MODULES", "copied", "host"]


Converter = Callable[[Any, Signal], Converted | Signal]


def host(module: nn.Module, name: str) -> Any:
    """A module's parameter as a host array of its own."""
    return copied(getattr(module, name))


def copied(tensor: Tensor) -> Any:
    """A tensor as a host array of its own."""
    tensor = tensor.detach().cpu()
    if tensor.element_size() < 4:  # NumPy lacks bfloat16
        tensor = tensor.float()
    return tensor.numpy().copy()


def _weighted(op: Op, x: Signal, module: nn.Module) -> Converted:
    return Converted(op, {"x": (x.port,)}, {name: host(module, name) for name in op.params()})


def _linear(module: nn.Linear, x: Signal) -> Converted:
    return _weighted(Linear(module.in_features, module.out_features, module.bias is not None), x, module)


def _convolution(kind: Any) -> Converter:
    def convert(module: Any, x: Signal) -> Converted:
        only(padding_mode=(module.padding_mode, "zeros"))
        names = ("stride", "dilation", "output_padding") if module.transposed else ("stride", "dilation")
        op = kind(
            module.in_channels,
            module.out_channels,
            sizes(module.kernel_size, kind.rank),
            padding=_padding(module, kind.rank),
            groups=module.groups,
            bias=module.bias is not None,
            **{name: sizes(getattr(module, name), kind.rank) for name in names},
        )
        return _weighted(op, x, module)

    return convert


def _padding(module: Any, rank: int) -> tuple[int, ...]:
    if module.padding == "valid":
        return (0,) * rank
    if module.padding == "same":
        spans = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
        if any(span % 2 for span in spans):
            raise CaptureError("padding='same' with an even kernel pads one side more; give a number")
        return tuple(span // 2 for span in spans)
    return sizes(module.padding, rank)


def _by(convert: Callable[..., Converted], *names: str) -> Converter:
    """A module that calls a function with some of its attributes."""
    return lambda module, x: convert(x, **{name: getattr(module, name) for name in names})


def _layer_norm(module: nn.LayerNorm, x: Signal) -> Converted:
    op = LayerNorm(
        tuple(module.normalized_shape), module.eps, module.elementwise_affine, module.bias is not None
    )
    return _weighted(op, x, module)


def _graded_spikes(module: GradedSpikes, x: Signal) -> Converted:
    columns = x.shape[-2:] == (module.size, 1)
    op = Scale((1,) * (len(x.shape) - 1 - columns) + (module.size,) + (1,) * columns)
    weights = host(module, "weights").reshape(op.shape)
    return Converted(op, {"x": (x.port,)}, {"weight": weights}, sources={"weight": "weights"})


def _batch_norm(kind: type[BatchNorm]) -> Converter:
    def convert(module: nn.BatchNorm1d | nn.BatchNorm2d, x: Signal) -> Converted:
        return _weighted(_normalising(kind, module), x, module)

    return convert


def _batch_norm_tt(kind: type[BatchNorm]) -> Converter:
    """Parameters of all steps, one below the other."""

    def convert(module: BatchNormTT, x: Signal) -> Converted:
        op = replace(_normalising(kind, module[0]), time_steps=len(module))
        params = {name: np.stack([host(layer, name) for layer in module]) for name in op.params()}
        return Converted(op, {"x": (x.port,)}, params, sources={name: f"*.{name}" for name in params})

    return convert


def _normalising(kind: type[BatchNorm], module: Any) -> BatchNorm:
    if module.momentum is None:
        raise CaptureError(
            "momentum=None, a mean over all batches, is not supported; give a number such as 0.1"
        )
    only(track_running_stats=(module.track_running_stats, True))
    return kind(
        module.num_features,
        momentum=module.momentum,
        eps=module.eps,
        weight=module.weight is not None,
        bias=module.bias is not None,
    )


_MAX = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
_SUM = ("norm_type", "kernel_size", "stride", "ceil_mode")
_AVG = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")

_MODULES: Final[Mapping[type[nn.Module], Converter]] = {
    nn.Linear: _linear,
    nn.Conv1d: _convolution(Conv1d),
    nn.Conv2d: _convolution(Conv2d),
    nn.Conv3d: _convolution(Conv3d),
    nn.ConvTranspose1d: _convolution(ConvTranspose1d),
    nn.ConvTranspose2d: _convolution(ConvTranspose2d),
    nn.MaxPool1d: _by(max_pool(MaxPool1d), *_MAX),
    nn.MaxPool2d: _by(max_pool(MaxPool2d), *_MAX),
    nn.AvgPool1d: _by(avg_pool(AvgPool1d), *_AVG),
    nn.AvgPool2d: _by(avg_pool(AvgPool2d), *_AVG, "divisor_override"),
    nn.LPPool1d: _by(sum_pool(SumPool1d), *_SUM),
    nn.LPPool2d: _by(sum_pool(SumPool2d), *_SUM),
    nn.AdaptiveAvgPool1d: _by(adaptive_avg_pool(AvgPool1d), "output_size"),
    nn.AdaptiveAvgPool2d: _by(adaptive_avg_pool(AvgPool2d), "output_size"),
    nn.Upsample: _by(interpolate, "size", "scale_factor", "mode", "align_corners"),
    nn.UpsamplingNearest2d: _by(interpolate, "size", "scale_factor", "mode"),
    nn.LayerNorm: _layer_norm,
    nn.BatchNorm1d: _batch_norm(BatchNorm1d),
    nn.BatchNorm2d: _batch_norm(BatchNorm2d),
    BatchNormTT1d: _batch_norm_tt(BatchNorm1d),
    BatchNormTT2d: _batch_norm_tt(BatchNorm2d),
    nn.Dropout: lambda module, x: Converted(Dropout(module.p), {"x": (x.port,)}),
    norm_dropout.Dropout: lambda module, x: Converted(module.op, {"x": (x.port,)}),
    nn.Flatten: _by(flatten, "start_dim", "end_dim"),
    nn.Unflatten: lambda module, x: unflatten(x, module.dim, module.unflattened_size),
    GradedSpikes: _graded_spikes,
    Delay: lambda module, x: Converted(Add(), {"x": (x.port,)}, delay=module.steps),
    nn.Identity: lambda module, x: x,
    nn.ELU: _by(pointwise.elu, "alpha"),
    nn.Hardtanh: _by(pointwise.hardtanh, "min_val", "max_val"),
    nn.LeakyReLU: _by(pointwise.leaky_relu, "negative_slope"),
    nn.ReLU: _by(pointwise.relu),
    nn.ReLU6: _by(pointwise.relu6),
    nn.Sigmoid: _by(pointwise.sigmoid),
    nn.SiLU: _by(pointwise.silu),
    nn.Tanh: _by(pointwise.tanh),
}

MODULES: Final = Table("snnhw.nn.capture.layers.MODULES", _MODULES)
"""Layer type -> what it is in a program."""
