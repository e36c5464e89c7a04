"""Ops: the kinds of node a program is made of, one frozen dataclass apiece.

A new op is a dataclass in a file of this folder, registered by ``@op``; files are found by
themselves.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from snnhw.ir.ops.base import OPS, Op, Shape, op
from snnhw.ir.ops.conv import Conv2d
from snnhw.ir.ops.io import Input, Output
from snnhw.ir.ops.linear import Linear
from snnhw.ir.ops.neuron import Neuron, Pointwise
from snnhw.ir.ops.pool import AvgPool2d, MaxPool2d
from snnhw.ir.ops.shape import Add, Concat, Flatten

__all__ = [
    "OPS",
    "Add",
    "AvgPool2d",
    "Concat",
    "Conv2d",
    "Flatten",
    "Input",
    "Linear",
    "MaxPool2d",
    "Neuron",
    "Op",
    "Output",
    "Pointwise",
    "Shape",
    "op",
]

for _found in iter_modules(__path__):
    import_module(f"{__name__}.{_found.name}")
