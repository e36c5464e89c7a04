"""Who runs a `ScanKernel` on tensors.

A provider turns a kernel into something that runs it over all steps at once, forward and backward.
Layers are flat here: a signal is ``[T, B, N]``, or ``[B, N]`` when static; a state ``[B, N]``; a
parameter ``[]`` or ``[N]``; all contiguous and of the compute dtype.

Providers are found by type of device in the entry-point group `snnhw.plugin.KERNELS`: classes with a
``name`` and an ``interface``, as other plugins have.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from snnhw import registry
from snnhw.errors import PluginError
from snnhw.passes import ScanKernel
from snnhw.plugin import KERNELS

__all__ = ["Provider", "Scan", "ScanGrads", "ScanInputs", "ScanOutputs", "provider_for"]


class ScanInputs(NamedTuple):
    """What a scan reads. ``tables`` are the levels of ``nearest``."""

    steps: int
    inputs: Sequence[Tensor]
    params: Sequence[Tensor]
    tables: Sequence[Tensor]
    states: Sequence[Tensor]


class ScanOutputs(NamedTuple):
    """What a scan gives: outputs ``[T, B, N]`` and final states ``[B, N]``."""

    outputs: list[Tensor]
    states: list[Tensor]


class ScanGrads(NamedTuple):
    """Adjoints. ``inputs`` and ``values`` hold None where the kernel wants none.

    A static input's is summed over time. A value's is summed over time in the compute dtype, then in
    float64 over the batch (and over neurons for a scalar).
    """

    inputs: list[Tensor | None]
    values: list[Tensor | None]
    states: list[Tensor]


class Scan(Protocol):
    """One compiled kernel.

    Nothing is kept between the passes: the backward pass computes the states again from the inputs,
    by the same code, so that they are the same in every bit.
    """

    def forward(self, given: ScanInputs, out: ScanOutputs | None = None) -> ScanOutputs:
        """Run all steps; ``out`` is room for what it gives."""
        ...

    def backward(
        self,
        given: ScanInputs,
        outputs: Sequence[Tensor],
        states: Sequence[Tensor | None],
        out: ScanGrads | None = None,
    ) -> ScanGrads:
        """From adjoints of the outputs, in the order of the kernel's, and of the final states; ``out`` is
        room for those of inputs and states."""
        ...


class Provider(Protocol):
    """Compiles kernels for one type of device."""

    def compile(self, kernel: ScanKernel, dtype: torch.dtype, device: torch.device) -> Scan: ...

    def empty(self, *shape: int, like: Tensor) -> Tensor:
        """Room for a signal, of the dtype and on the device of another one."""
        ...

    def __hash__(self) -> int: ...


@lru_cache(maxsize=16)
def provider_for(device_type: str) -> Provider:
    """The installed provider for a type of device, or torch itself where there is none."""
    from snnhw.tensors.eager import EagerProvider  # builds on this module

    if device_type in registry.names(KERNELS):
        try:
            found: Provider = registry.load(KERNELS, device_type)
        except PluginError as error:
            warnings.warn(
                f"neurons run step by step in torch, which is slow: {error}", RuntimeWarning, stacklevel=2
            )
        else:
            return found
    return EagerProvider()
