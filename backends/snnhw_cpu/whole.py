"""Layers of a program of integers: int64 in and out, every sum exact.

A product of int64 matrices is slow in torch. One of float64 is not, and is the same as long as every partial
sum is below 2^53, whatever their order; that is asked before each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Final

import torch
from torch import Tensor

from snnhw.errors import InputError
from snnhw.ir import Op, Program, SaturatingLinear
from snnhw.tensors.network import OPERATIONS, Memo, Operation, Remembering
from snnhw.tensors.noting import launch
from snnhw_cpu.claims import IN_FLOAT64
from snnhw_cpu.kernel import compiled

__all__ = ["whole_layers"]

EXACT: Final = 2**53
"""Up to here, every whole number is a float64."""

Tensors = Mapping[str, Tensor]


def whole_layers(program: Program) -> dict[str, Operation | Remembering]:
    """Node -> how it runs, for those that torch runs slowly or not at all in int64."""
    found: dict[str, Operation | Remembering] = {}
    for name, op in program.nodes.items():
        if isinstance(op, SaturatingLinear):
            found[name] = _saturating
        elif isinstance(op, IN_FLOAT64):
            found[name] = InFloat64()
    return found


@dataclass(frozen=True)
class InFloat64:
    """A layer of whole numbers, computed in float64 where that is exact."""

    ways: ClassVar[tuple[str, ...]] = ()

    def at(self, node: str, memo: Memo) -> Operation:
        """One layer of a program; what it makes of its parameters it makes once."""

        def run(op: Op, xs: Tensors, params: Tensors) -> Tensor:
            if node not in memo.derived:
                memo.derived[node] = torch.tensor(_largest(op, params), dtype=torch.float64)
            x = xs["x"]
            bound, most = float(memo.derived[node]), max(1, int(x.abs().max()))
            if bound * most >= EXACT:
                raise InputError(
                    f"{node}: sums of up to {bound:g} times {most} may be beyond 2^53; give "
                    "smaller weights or inputs"
                )
            doubles = {key: p.double() for key, p in params.items()}
            return OPERATIONS[type(op)](op, {"x": x.double()}, doubles).long()

        return run


def _largest(op: Op, params: Tensors) -> float:
    """A bound on what inputs of 1 come to."""
    sums = [float(p.abs().flatten(1).sum(1).max()) for p in params.values() if p.ndim > 1]
    biases = [float(p.abs().max()) for p in params.values() if p.ndim == 1]
    return sum(sums) + sum(biases) if sums else float(_window(op))


def _window(op: Any) -> int:
    count = 1
    for size in getattr(op, "kernel", (1,)):
        count *= size
    return count


def _saturating(op: SaturatingLinear, xs: Tensors, params: Tensors) -> Tensor:
    x, y = xs["x"].contiguous(), xs["start"].clone(memory_format=torch.contiguous_format)
    weight = params["weight"].t().contiguous()
    kernel = compiled(_SATURATING, "saturating")
    half = 1 << (op.bits - 1)
    numbers = (len(x), op.in_features, op.out_features, half, *(p.data_ptr() for p in (x, weight, y)))
    launch(partial(kernel.call, *numbers), [x, weight], [y])
    return y


_SATURATING: Final = """\
from numba import carray
from snnhw_cpu.compiling import cfunc


@cfunc("void(intp, intp, intp, int64, CPointer(int64), CPointer(int64), CPointer(int64))")
def saturating(rows, inputs, outputs, half, x_at, weight_at, y_at):
    x = carray(x_at, (rows, inputs))
    weight = carray(weight_at, (inputs, outputs))
    y = carray(y_at, (rows, outputs))
    for r in range(rows):
        here = y[r]
        for i in range(inputs):
            times = x[r, i]
            if times:
                row = weight[i]
                for j in range(outputs):
                    here[j] = min(max(here[j] + times * row[j], -half), half - 1)
"""
