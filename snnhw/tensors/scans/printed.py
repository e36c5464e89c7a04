"""Scans whose kernels are printed: what every printer's kernels need around them.

Tensors are put in the order of a `ScanLoop`'s arguments, which stands nowhere else; room for results is made,
states without an adjoint get one of zeros, and sums of blocks become sums of the layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from snnhw.passes import Argument, ScanKernel, ScanLoop, backward_loop, forward_loop
from snnhw.tensors.noting import launch
from snnhw.tensors.scans.provider import ScanGrads, ScanInputs, ScanOutputs

__all__ = ["Grid", "Launch", "PrintedScan", "Printer", "total"]


class Grid(NamedTuple):
    """How the neurons of a batch are laid out: R rows of C columns, and how many blocks of columns have sums
    of their own. A row is a sample, or as many as there are; in either case ``R * C == B * N``."""

    rows: int
    columns: int
    blocks: int


Launch = Callable[[Sequence[Tensor], int, Grid], None]
"""Runs a compiled kernel: tensors in the order of the loop's arguments, T, and the grid."""


class Printer(Protocol):
    """Who prints kernels in a language, and has them compiled."""

    def grid(self, kernel: ScanKernel, batch: int, neurons: int) -> Grid:
        """How a layer is laid out."""
        ...

    def compiled(self, loop: ScanLoop, dtype: torch.dtype) -> Launch:
        """The kernel of one pass."""
        ...

    def empty(self, *shape: int, like: Tensor) -> Tensor: ...


@dataclass(frozen=True, eq=False)
class PrintedScan:
    """A `snnhw.tensors.scans.provider.Scan`; each pass is compiled when it is first needed."""

    kernel: ScanKernel
    dtype: torch.dtype
    printer: Printer
    _grids: dict[tuple[int, ...], Grid] = field(default_factory=dict, repr=False)

    @cached_property
    def _forward(self) -> tuple[ScanLoop, Launch]:
        loop = forward_loop(self.kernel)
        return loop, self.printer.compiled(loop, self.dtype)

    @cached_property
    def _backward(self) -> tuple[ScanLoop, Launch]:
        loop = backward_loop(self.kernel)
        return loop, self.printer.compiled(loop, self.dtype)

    @cached_property
    def _summed(self) -> tuple[Argument, ...]:
        """What a kernel leaves for each block."""
        return self._backward[0].kind("V")

    def forward(self, given: ScanInputs, out: ScanOutputs | None = None) -> ScanOutputs:
        like = given.inputs[0]
        flat = like.shape[-2:]
        if out is None:
            out = ScanOutputs(
                [self._new(given.steps, *flat, like=like) for _ in self.kernel.output_exprs],
                [self._new(*flat, like=state) for state in given.states],
            )
        self._run(self._forward, given, self._grid(given), {"y": out.outputs, "f": out.states})
        return out

    def backward(
        self,
        given: ScanInputs,
        outputs: Sequence[Tensor],
        states: Sequence[Tensor | None],
        out: ScanGrads | None = None,
    ) -> ScanGrads:
        grid = self._grid(given)
        final = [torch.zeros_like(s) if a is None else a for s, a in zip(given.states, states, strict=True)]
        out = out or self._rooms(given)
        sums = {argument.number: self._sums(argument, grid, given) for argument in self._summed}
        more: dict[str, Any] = {"g": outputs, "a": final, "X": out.inputs, "V": sums, "A": out.states}
        self._run(self._backward, given, grid, more)
        batch = given.inputs[0].shape[-2]
        totals = [
            total(sums[number], value.layout, batch) if number in sums else None
            for number, value in enumerate(self.kernel.values)
        ]
        return ScanGrads(out.inputs, totals, out.states)

    def _run(
        self,
        compiled: tuple[ScanLoop, Launch],
        given: ScanInputs,
        grid: Grid,
        more: Mapping[str, Any],
    ) -> None:
        loop, launch = compiled
        tensors = {
            "x": given.inputs,
            "p": self._params(given, grid),
            "t": given.tables,
            "s": given.states,
            **more,
        }
        launch([tensors[a.letter][a.number] for a in loop.arguments], given.steps, grid)

    def _grid(self, given: ScanInputs) -> Grid:
        shape = given.inputs[0].shape[-2:]
        if shape not in self._grids:
            self._grids[shape] = self.printer.grid(self.kernel, *shape)
        return self._grids[shape]

    def _params(self, given: ScanInputs, grid: Grid) -> Sequence[Tensor]:
        """One number, or one for each column."""
        neurons = max(1, given.inputs[0].shape[-1])
        samples = grid.columns // neurons  # of a row
        return [p if p.ndim == 0 or samples == 1 else p.repeat(samples) for p in given.params]

    def _rooms(self, given: ScanInputs) -> ScanGrads:
        """Where a kernel leaves the adjoints of inputs and states."""
        inputs = [
            None if expr is None else self._new(*x.shape, like=x)
            for x, expr in zip(given.inputs, self.kernel.input_grads, strict=True)
        ]
        return ScanGrads(inputs, [], [self._new(*state.shape, like=state) for state in given.states])

    def _sums(self, argument: Argument, grid: Grid, given: ScanInputs) -> Tensor:
        """Where a kernel leaves the adjoint of a value."""
        sizes = {"R": grid.rows, "C": grid.columns, "blocks": grid.blocks}
        dtype = torch.float64 if argument.wide else self.dtype
        return given.inputs[0].new_empty([sizes[axis] for axis in argument.axes], dtype=dtype)

    def _new(self, *shape: int, like: Tensor) -> Tensor:
        return self.printer.empty(*shape, like=like)


def total(sums: Tensor, layout: str, batch: int) -> Tensor:
    """Over the batch in float64: ``[]`` or ``[N]``."""
    if layout == "neuron":
        sums = sums.reshape(batch, -1)
    axis = 0 if layout == "neuron" else None
    if sums.device.type == "cpu":  # in an order that depends on shapes alone, not on torch's threads
        found = sums.new_empty(sums.shape[1:] if axis == 0 else (), dtype=torch.float64)
        summed = partial(np.add.reduce, sums.numpy(), axis, np.float64, found.numpy())
        launch(summed, [sums], [found])
        return found
    return sums.sum(dim=axis, dtype=torch.float64)
