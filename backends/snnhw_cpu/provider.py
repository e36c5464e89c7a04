"""Kernels printed as numba source, compiled once for each structure, run over tensors in place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from snnhw.passes import ScanKernel
from snnhw.plugin import INTERFACE
from snnhw.tensors.provider import Scan, ScanGrads, ScanInputs, ScanOutputs
from snnhw_cpu.kernel import Kernel, compiled
from snnhw_cpu.limits import USUAL, Limits
from snnhw_cpu.memory import room
from snnhw_cpu.source import backward_source, forward_source
from snnhw_cpu.threads import share

__all__ = ["NumbaProvider"]


@dataclass(frozen=True)
class NumbaProvider:
    """Emits, compiles and caches. Equal ones share their kernels."""

    limits: Limits = USUAL

    name = "cpu"
    interface = INTERFACE

    def compile(self, kernel: ScanKernel, dtype: torch.dtype, device: torch.device) -> Scan:
        return NumbaScan(kernel, str(dtype).removeprefix("torch."), self.limits)

    def empty(self, *shape: int, like: Tensor) -> Tensor:
        return room(*shape, dtype=like.dtype, reuse=self.limits.reuse)


@dataclass(frozen=True, eq=False)
class NumbaScan:
    """One kernel; each pass is compiled when it is first needed."""

    kernel: ScanKernel
    dtype: str
    limits: Limits

    @cached_property
    def _forward(self) -> Kernel:
        return compiled(forward_source(self.kernel, self.dtype), "forward")

    @cached_property
    def _backward(self) -> Kernel:
        return compiled(backward_source(self.kernel, self.dtype), "backward")

    def forward(self, given: ScanInputs, out: ScanOutputs | None = None) -> ScanOutputs:
        like = given.inputs[0]
        batch, neurons = like.shape[-2:]
        if out is None:
            out = ScanOutputs(
                [self._new(given.steps, batch, neurons, like=like) for _ in self.kernel.output_exprs],
                [self._new(batch, neurons, like=like) for _ in self.kernel.next_states],
            )
        self._call(self._forward, given, [*out.outputs, *out.states])
        return out

    def backward(
        self,
        given: ScanInputs,
        outputs: Sequence[Tensor],
        states: Sequence[Tensor | None],
        out: ScanGrads | None = None,
    ) -> ScanGrads:
        kernel, like = self.kernel, given.inputs[0]
        batch, neurons = like.shape[-2:]
        final = [torch.zeros_like(s) if a is None else a for s, a in zip(given.states, states, strict=True)]
        if out is None:
            out = self._rooms(given)
        inputs, initial = out.inputs, out.states
        rows, columns = self._layout(batch, neurons)
        sums = [
            self._room(value.layout, like, rows, columns) if value.grad else None for value in kernel.values
        ]
        wanted = [x for x in (*inputs, *sums) if x is not None]
        self._call(self._backward, given, [*outputs, *final, *wanted, *initial])
        totals = [
            None if room is None else _total(room, value.layout, batch)
            for room, value in zip(sums, kernel.values, strict=True)
        ]
        return ScanGrads(inputs, totals, initial)

    def _rooms(self, given: ScanInputs) -> ScanGrads:
        """Where a kernel leaves the adjoints of inputs and states."""
        like = given.inputs[0]
        flat = like.shape[-2:]
        inputs = [
            None if expr is None else self._new(*([] if static else [given.steps]), *flat, like=like)
            for static, expr in zip(self.kernel.static, self.kernel.input_grads, strict=True)
        ]
        return ScanGrads(inputs, [], [self._new(*flat, like=like) for _ in given.states])

    def _new(self, *shape: int, like: Tensor) -> Tensor:
        return room(*shape, dtype=like.dtype, reuse=self.limits.reuse)

    def _layout(self, batch: int, neurons: int) -> tuple[int, int]:
        """R rows of C neurons. Where parameters vary, a row is a sample; else all is one row."""
        rows = batch if batch and neurons >= self.limits.narrow and self._varies else 1
        return rows, batch * neurons // rows

    @cached_property
    def _varies(self) -> bool:
        """Whether some parameter differs from neuron to neuron."""
        return "neuron" in self.kernel.layouts

    def _room(self, layout: str, like: Tensor, rows: int, columns: int) -> Tensor:
        """Where a kernel leaves the adjoint of a value."""
        if layout == "neuron":
            return like.new_empty(rows, columns)
        return like.new_empty(rows, -(-columns // self._tile(columns)), dtype=torch.float64)

    def _tile(self, columns: int) -> int:
        """Neurons of a task."""
        return max(1, min(self.limits.tile, columns))

    def _call(self, kernel: Kernel, given: ScanInputs, rest: Iterable[Tensor]) -> None:
        batch, neurons = given.inputs[0].shape[-2:]
        rows, columns = self._layout(batch, neurons)
        params = given.params
        if self._varies and rows == 1:
            params = [p if p.ndim == 0 else p.repeat(batch) for p in params]
        tensors = [*given.inputs, *params, *given.tables, *given.states, *rest]
        pointers = [tensor.data_ptr() for tensor in tensors]
        pointers += [table.numel() for table in given.tables]
        tile, chunk = self._tile(columns), max(1, min(self.limits.chunk, given.steps))
        share(
            lambda first, last: kernel(first, last, given.steps, rows, columns, tile, chunk, *pointers),
            tasks=rows * -(-columns // tile),
            cost=given.steps * rows * columns,
            wake=self.limits.wake,
            held=tensors,
        )


def _total(room: Tensor, layout: str, batch: int) -> Tensor:
    """Over the batch in float64, in an order that depends on shapes alone: ``[]`` or ``[N]``."""
    if layout == "scalar":
        return torch.tensor(float(room.numpy().sum()), dtype=torch.float64)
    return torch.from_numpy(room.numpy().reshape(batch, -1).sum(axis=0, dtype="float64"))
