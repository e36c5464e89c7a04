"""Kernels printed as Triton source, compiled once for each structure, run over tensors on an NVIDIA GPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from snnhw.passes import ScanKernel, ScanLoop
from snnhw.plugin import INTERFACE
from snnhw.tensors.scans.printed import Grid, Launch, PrintedScan
from snnhw.tensors.scans.provider import Draw, Scan, Sizes, wide
from snnhw_cuda.kernel import compiled
from snnhw_cuda.limits import USUAL, Limits
from snnhw_cuda.noise import drawn
from snnhw_cuda.triton_source import KEPT, parameters, source

__all__ = ["SMALLEST", "TritonProvider"]

SMALLEST: Final = 32
"""Neurons of a program at least: a warp."""


CUT_OFF: Final = {torch.bfloat16}
"""What Triton's interpreter does not round to, as GPUs do: it cuts numbers off, so torch rounds them."""


@dataclass(frozen=True)
class TritonProvider:
    """Emits, compiles and caches. Equal ones share their kernels.

    Attributes:
        interpreted: whether Triton's interpreter runs them, on tensors anywhere.
    """

    limits: Limits = USUAL
    interpreted: bool = False

    name = "cuda"
    interface = INTERFACE

    @property
    def sizes(self) -> Sizes:
        return self.limits.sizes

    def uniform(self, draw: Draw, device: torch.device) -> Tensor:
        return drawn(draw, device, interpreted=self.interpreted)

    def computed(self, signals: torch.dtype) -> torch.dtype:
        return wide(signals)

    def compile(self, kernel: ScanKernel, dtype: torch.dtype, device: torch.device) -> Scan:
        return PrintedScan(kernel, wide(dtype), self)

    def empty(self, *shape: int, like: Tensor) -> Tensor:
        return like.new_empty(shape)

    def source(self, loop: ScanLoop, dtype: torch.dtype) -> str:
        """What is compiled for one pass."""
        return source(loop, str(dtype).removeprefix("torch."), self.limits.group)

    def grid(self, kernel: ScanKernel, batch: int, neurons: int) -> Grid:
        return self.grid_of("neuron" in kernel.layouts, batch, neurons)

    def grid_of(self, varies: bool, batch: int, neurons: int) -> Grid:
        """Where parameters vary, a row is a sample; else all is one row."""
        rows = batch if batch and neurons >= self.limits.narrow and varies else 1
        columns = batch * neurons // rows
        return Grid(rows, columns, -(-columns // self.block(columns)))

    def compiled(self, loop: ScanLoop, dtype: torch.dtype) -> Launch:
        """See `snnhw_cuda.triton_source.parameters` for what a kernel takes."""
        kernel = compiled(self.source(loop, dtype), loop.name, interpreted=self.interpreted)
        tables = {a.axes[0]: at for at, a in enumerate(loop.arguments) if a.letter == "t"}
        first = parameters(loop)[: -len(loop.arguments)]
        written = {at for at, a in enumerate(loop.arguments) if self.interpreted and a.letter in "yX"}

        def launch(tensors: Sequence[Tensor], steps: int, grid: Grid) -> None:
            chunk = max(1, min(self.limits.chunk, steps))
            numbers = {"R": grid.rows, "C": grid.columns, "M": chunk}
            numbers |= {axis: tensors[at].numel() for axis, at in tables.items()}
            given = {
                **numbers,
                KEPT: self._scratch(loop, tensors, steps, chunk, grid) if KEPT in first else 0,
            }
            rooms = [x.float() if at in written and x.dtype in CUT_OFF else x for at, x in enumerate(tensors)]
            arguments = [steps, *(given[name] for name in first), *rooms]
            with torch.cuda.device(tensors[0].device if tensors[0].is_cuda else -1):
                kernel(grid.rows * grid.blocks, arguments, BLOCK=self.block(grid.columns))
            for x, room in zip(tensors, rooms, strict=True):
                if room is not x:
                    x.copy_(room)

        return launch

    def block(self, columns: int) -> int:
        """Neurons of a program: as many as there are, as a power of two."""
        return max(SMALLEST, min(self.limits.block, 1 << max(0, columns - 1).bit_length()))

    def _scratch(
        self, loop: ScanLoop, tensors: Sequence[Tensor], steps: int, chunk: int, grid: Grid
    ) -> Tensor:
        """Where a kernel keeps states on its way back."""
        slots = -(-steps // chunk) + chunk
        states = next(x for a, x in zip(loop.arguments, tensors, strict=True) if a.letter == "s")
        return states.new_empty((slots, loop.states, grid.rows, grid.columns))
