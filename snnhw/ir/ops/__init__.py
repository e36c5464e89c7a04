"""Ops: the kinds of node a program is made of, one frozen dataclass apiece.

A new op is a dataclass in a file of this folder, registered by ``@op``; files are found by
themselves.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from snnhw.ir.ops.across import MatMul, WinnerTakeAll
from snnhw.ir.ops.base import OPS, PARTS, Op, Shape, op
from snnhw.ir.ops.batchnorm import BatchNorm, BatchNorm1d, BatchNorm2d
from snnhw.ir.ops.conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d
from snnhw.ir.ops.dropout import Dropout
from snnhw.ir.ops.io import Input, Output
from snnhw.ir.ops.linear import Linear
from snnhw.ir.ops.neuron import Neuron, Pointwise
from snnhw.ir.ops.normal import LayerNorm, Scale
from snnhw.ir.ops.pool import AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d, SumPool1d, SumPool2d
from snnhw.ir.ops.shape import Add, Concat, Flatten, Slice, Unflatten, Upsample

__all__ = [
    "OPS",
    "PARTS",
    "Add",
    "AvgPool1d",
    "AvgPool2d",
    "BatchNorm",
    "BatchNorm1d",
    "BatchNorm2d",
    "Concat",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "Dropout",
    "Flatten",
    "Input",
    "LayerNorm",
    "Linear",
    "MatMul",
    "MaxPool1d",
    "MaxPool2d",
    "Neuron",
    "Op",
    "Output",
    "Pointwise",
    "Scale",
    "Shape",
    "Slice",
    "SumPool1d",
    "SumPool2d",
    "Unflatten",
    "Upsample",
    "WinnerTakeAll",
    "op",
]

for _found in iter_modules(__path__):
    import_module(f"{__name__}.{_found.name}")
