"""Kernels printed as numba source, compiled once for each structure, run over tensors in place."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from threading import Lock
from typing import Any

import numpy as np
import torch
from numba import typeof
from torch import Tensor

from snnhw.passes import ScanKernel
from snnhw.plugin import INTERFACE
from snnhw.tensors.provider import Scan, ScanGrads, ScanInputs, ScanOutputs
from snnhw_cpu.cache import load_function
from snnhw_cpu.source import BLOCK, backward_source, forward_source
from snnhw_cpu.threads import share

__all__ = ["COMPILED", "NumbaProvider"]

LOG = logging.getLogger("snnhw.cpu")
COMPILED: list[str] = []
"""What this process had to compile, for tests that bound it."""

NARROW = 64
"""A layer of fewer neurons is laid out as one long row, its per-neuron values repeated."""

Array = np.ndarray[Any, Any]


class Kernel:
    """A compiled function that says so when compiling it took the user's time."""

    def __init__(self, source: str, name: str) -> None:
        self.name = name
        self._function = load_function(source, name)
        self._ready = False
        self._lock = Lock()

    def __call__(self, *arguments: Any) -> None:
        if not self._ready:
            with self._lock:
                self._prepare(arguments)
        self._function(*arguments)

    def _prepare(self, arguments: tuple[Any, ...]) -> None:
        if self._ready:
            return
        before = time.perf_counter()
        self._function.compile(tuple(map(typeof, arguments)))
        self._ready = True
        if sum(self._function.stats.cache_misses.values()):  # otherwise it was read from the cache
            COMPILED.append(self.name)
            LOG.info("compiled a %s kernel in %.1f s; it is kept for next time", self.name, time.perf_counter() - before)


@lru_cache(maxsize=4096)
def compiled(source: str, name: str) -> Kernel:
    """The function of one source; equal sources share it."""
    return Kernel(source, name)


class NumbaProvider:
    """Emits, compiles and caches."""

    name = "cpu"
    interface = INTERFACE

    def compile(self, kernel: ScanKernel, dtype: torch.dtype, device: torch.device) -> Scan:
        return NumbaScan(kernel, str(dtype).removeprefix("torch."))


@dataclass(frozen=True)
class NumbaScan:
    kernel: ScanKernel
    dtype: str

    @cached_property
    def _forward(self) -> Kernel:
        return compiled(forward_source(self.kernel, self.dtype), "forward")

    @cached_property
    def _backward(self) -> Kernel:
        return compiled(backward_source(self.kernel, self.dtype), "backward")

    def forward(self, given: ScanInputs) -> ScanOutputs:
        lay = _Layout.of(self.kernel, given)
        outputs = [lay.empty(given.steps) for _ in self.kernel.output_exprs]
        states = [lay.empty() for _ in self.kernel.next_states]
        lay.call(self._forward, [*lay.arguments, *map(lay.array, outputs), *map(lay.array, states)])
        return ScanOutputs(outputs, states)

    def backward(
        self, given: ScanInputs, outputs: Sequence[Tensor], states: Sequence[Tensor | None]
    ) -> ScanGrads:
        kernel = self.kernel
        lay = _Layout.of(kernel, given)
        final = [torch.zeros_like(s) if a is None else a for s, a in zip(given.states, states, strict=True)]
        inputs = [
            None if expr is None else lay.empty() if static else lay.empty(given.steps)
            for static, expr in zip(kernel.static, kernel.input_grads, strict=True)
        ]
        values = [lay.sums(value.layout) if value.grad else None for value in kernel.values]
        initial = [lay.empty() for _ in given.states]
        lay.call(
            self._backward,
            [
                *lay.arguments,
                *map(lay.array, outputs),
                *map(lay.array, final),
                *(lay.array(x) for x in inputs if x is not None),
                *(v for v in values if v is not None),
                *map(lay.array, initial),
            ],
        )
        totals = [
            None if sums is None else lay.total(sums, value.layout)
            for sums, value in zip(values, kernel.values, strict=True)
        ]
        return ScanGrads(inputs, totals, initial)


@dataclass(frozen=True)
class _Layout:
    """How a layer ``[B, N]`` lies before a kernel: R rows of C neurons."""

    like: Tensor
    steps: int
    batch: int
    rows: int
    columns: int
    arguments: list[Any]

    @classmethod
    def of(cls, kernel: ScanKernel, given: ScanInputs) -> _Layout:
        batch, neurons = given.inputs[0].shape[-2:]
        varying = "neuron" in kernel.layouts
        rows = batch if varying and neurons >= NARROW else 1
        lay = cls(given.inputs[0], given.steps, batch, rows, batch * neurons // rows, [])
        lay.arguments.extend(lay.array(x) for x in given.inputs)
        lay.arguments.extend(lay.param(p) for p in given.params)
        lay.arguments.extend(table.detach().numpy() for table in given.tables)
        lay.arguments.extend(lay.array(s) for s in given.states)
        return lay

    def param(self, tensor: Tensor) -> Any:
        """One number, or ``[C]``."""
        array: Array = tensor.detach().numpy()
        if array.ndim == 0:
            return array[()]
        return array if self.rows > 1 else np.tile(array, self.batch)

    def array(self, tensor: Tensor) -> Array:
        """``[T, R, C]`` or ``[R, C]`` over the same memory."""
        array: Array = tensor.detach().numpy()
        return array.reshape(*array.shape[:-2], self.rows, self.columns)

    def empty(self, steps: int | None = None) -> Tensor:
        shape = (self.batch, self.rows * self.columns // self.batch)
        return self.like.new_empty(shape if steps is None else (steps, *shape))

    def sums(self, layout: str) -> Array:
        """Where a kernel leaves the adjoint of a value."""
        if layout == "neuron":
            return np.empty((self.rows, self.columns), self.like.detach().numpy().dtype)
        return np.empty((self.rows, self.blocks))

    @property
    def blocks(self) -> int:
        return -(-self.columns // BLOCK)

    def total(self, sums: Array, layout: str) -> Tensor:
        """Over the batch in float64, in an order that depends on shapes alone: ``[]`` or ``[N]``."""
        if layout == "scalar":
            return torch.tensor(float(sums.sum()), dtype=torch.float64)
        return torch.from_numpy(sums.reshape(self.batch, -1).sum(axis=0, dtype=np.float64))

    def call(self, function: Callable[..., Any], arguments: Sequence[Any]) -> None:
        sizes = (self.steps, self.rows, self.columns)
        share(
            lambda first, last: function(first, last, *sizes, *arguments),
            tasks=self.rows * self.blocks,
            cost=self.steps * self.rows * self.columns,
        )
