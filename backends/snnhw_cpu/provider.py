"""Kernels printed as numba source, compiled once for each structure, run over tensors in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from snnhw.ir import Conv1d, Conv2d, Conv3d
from snnhw.passes import LoopKernel, Pass, ScanKernel, ScanLoop, arguments, sizes
from snnhw.plugin import INTERFACE
from snnhw.tensors.scans.printed import Grid, Launch, PrintedScan
from snnhw.tensors.scans.provider import Draw, LoopLaunch, Scan, Sizes, drawn_on_host
from snnhw_cpu.kernel import compiled
from snnhw_cpu.limits import USUAL, Limits
from snnhw_cpu.loop_source import loop_source
from snnhw_cpu.memory import empty
from snnhw_cpu.numba_source import source
from snnhw_cpu.register_block import LANES, multiply
from snnhw_cpu.threads import share

__all__ = ["NumbaProvider"]

FILLED: Final = "yfXVA"
"""Letters of what a kernel writes to, see `snnhw.passes.Argument`."""

LOOP_FILLED: Final[Mapping[Pass, str]] = {"forward": "yhxfm", "backward": "XGVAM"}
"""The same of loops, see `snnhw.passes.LoopArgument`."""


@dataclass(frozen=True)
class NumbaProvider:
    """Emits, compiles and caches. Equal ones share their kernels."""

    limits: Limits = USUAL

    name = "cpu"
    interface = INTERFACE
    lanes = LANES

    @property
    def sizes(self) -> Sizes:
        """As of its limits; oneDNN holds a second copy of what a convolution gives while it computes."""
        limits = self.limits
        return Sizes(
            block=limits.block,
            alone=(Conv1d, Conv2d, Conv3d),
            derived=limits.derived,
            held=limits.held,
            passing=limits.passing,
            span=limits.span,
            fewest=limits.fewest,
            taped=limits.taped,
            fused=limits.fused,
        )

    def uniform(self, draw: Draw, device: torch.device) -> Tensor:
        return drawn_on_host(draw, device)

    def computed(self, signals: torch.dtype) -> torch.dtype:
        return signals

    def compile(self, kernel: ScanKernel, dtype: torch.dtype, device: torch.device) -> Scan:
        return PrintedScan(kernel, dtype, self)

    def empty(self, *shape: int, like: Tensor) -> Tensor:
        return empty(*shape, dtype=like.dtype, reuse=self.limits.reuse)

    def source(self, loop: ScanLoop, dtype: torch.dtype) -> str:
        """What is compiled for one pass."""
        return source(loop, str(dtype).removeprefix("torch."))

    def grid(self, kernel: ScanKernel, batch: int, neurons: int) -> Grid:
        """Where parameters vary, a row is a sample; else all is one row."""
        varies = "neuron" in kernel.layouts
        rows = batch if batch and neurons >= self.limits.narrow and varies else 1
        columns = batch * neurons // rows
        return Grid(rows, columns, -(-columns // self._tile(columns)))

    def compiled(self, loop: ScanLoop, dtype: torch.dtype) -> Launch:
        """See `snnhw_cpu.numba_pieces.function` for what a kernel takes."""
        kernel = compiled(self.source(loop, dtype), loop.name)
        letters = [argument.letter for argument in loop.arguments]
        tables = [at for at, letter in enumerate(letters) if letter == "t"]
        read, written = parted(letters, FILLED)
        most, wake = self.limits.chunk, self.limits.wake

        def launch(tensors: Sequence[Tensor], steps: int, grid: Grid) -> None:
            pointers = [tensor.data_ptr() for tensor in tensors]
            pointers += [tensors[at].numel() for at in tables]
            rows, columns, blocks = grid
            tile, chunk = self._tile(columns), max(1, min(most, steps))
            share(
                kernel.call,
                rows * blocks,
                (steps, rows, columns, tile, chunk, *pointers),
                cost=steps * rows * columns,
                wake=wake,
                reads=[tensors[at] for at in read],
                writes=[tensors[at] for at in written],
            )

        return launch

    def loop(self, kernel: LoopKernel, passed: Pass, dtype: torch.dtype) -> LoopLaunch:
        """See `snnhw_cpu.loop_source.loop_source` for what a kernel takes."""
        order, limits = sizes(kernel), self.limits
        name = str(dtype).removeprefix("torch.")
        run = compiled(loop_source(kernel, passed, name), passed)
        product = multiply(name).address if kernel.products else 0
        letters = [argument.letter for argument in arguments(kernel, passed)]
        read, written = parted(letters, LOOP_FILLED[passed])

        def launch(tensors: Sequence[Tensor], steps: int, batch: int, sizes: Mapping[str, int]) -> None:
            numbers = [*(tensor.data_ptr() for tensor in tensors), *(sizes[name] for name in order)]
            rows = _rows(limits.together, batch, sizes)
            share(
                run.call,
                -(-batch // rows),
                (product, steps, batch, rows, *numbers),
                cost=steps * batch * _work(sizes),
                wake=limits.wake,
                reads=[tensors[at] for at in read],
                writes=[tensors[at] for at in written],
            )

        return launch

    def _tile(self, columns: int) -> int:
        """Neurons of a task."""
        return max(1, min(self.limits.tile, columns))


def parted(letters: Sequence[str], filled: str) -> tuple[list[int], list[int]]:
    """Places of what is read, and of what is written."""
    places = range(len(letters))
    return [at for at in places if letters[at] not in filled], [at for at in places if letters[at] in filled]


def _rows(together: int, batch: int, sizes: Mapping[str, int]) -> int:
    """Samples of a task: fours, as a product takes them, but no more than there are for every thread."""
    widest = max(size for name, size in sizes.items() if name[0] == "N")
    most = min(max(4, together // widest), -(-batch // torch.get_num_threads()))
    return -(-most // 4) * 4


def _work(sizes: Mapping[str, int]) -> int:
    """Of a sample at one step, in elements of a neuron: 16 of a product take the same time."""
    return sum(
        size * (1 + sizes.get(f"K{name[1:]}", 0) // 16) for name, size in sizes.items() if name[0] == "N"
    )
