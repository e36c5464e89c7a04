"""What the CPU runs in programs of integers, as data: asking for it imports no torch."""

from __future__ import annotations

from typing import Final

from snnhw import ir
from snnhw.ir import Op

__all__ = ["INTEGERS", "IN_FLOAT64"]

IN_FLOAT64: Final[tuple[type[Op], ...]] = (
    *(ir.Linear, ir.Conv1d, ir.Conv2d, ir.Conv3d),
    *(ir.MaxPool1d, ir.MaxPool2d, ir.SumPool1d, ir.SumPool2d),
)
"""Ops that compute in float64, where that is exact."""

INTEGERS: Final[frozenset[type[Op]]] = frozenset(
    {
        *(ir.Input, ir.Output, ir.Add, ir.Neuron, ir.Pointwise, ir.Parameter, ir.SaturatingLinear),
        *(ir.Flatten, ir.Unflatten, ir.Reshape, ir.Concat, ir.Slice, ir.Gather, ir.Sum, ir.Scale),
        *IN_FLOAT64,
    }
)
