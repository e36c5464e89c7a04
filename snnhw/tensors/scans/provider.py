"""Who runs a `ScanKernel` on tensors.

A provider turns a kernel into something that runs it over all steps at once, forward and backward.
Layers are flat here: a signal is ``[T, B, N]``, or ``[B, N]`` when static; a state ``[B, N]``; a
parameter ``[]`` or ``[N]``; all contiguous and of the compute dtype, but for signals, which may be narrower
where a provider reads such.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, TypeGuard

import numpy as np
import torch
from torch import Tensor

from snnhw.ir import Clock, Op, uniform
from snnhw.passes import LoopKernel, Pass, ScanKernel

__all__ = [
    "UNMEASURED",
    "Draw",
    "Fusing",
    "LoopLaunch",
    "Provider",
    "Scan",
    "ScanGrads",
    "ScanInputs",
    "ScanOutputs",
    "Sizes",
    "drawn_on_host",
    "fuses",
    "wide",
]


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


@dataclass(frozen=True)
class Sizes:
    """How a device divides a network's work. None of it changes what is computed.

    Attributes:
        block: bytes of a large signal that a chain of layers computes at a time; 0: without chains.
        alone: products that are worth a chain with nothing around them, since their result is never needed as
            a whole; of the convolutions.
        derived: whether a loop's way back is derived; else autograd records it, as for a single step.
        held: bytes of signals that a loop keeps for its way back. A longer one keeps its states now and then,
            and computes what lies between again.
        passing: steps of a loop for which there is room when nothing is kept.
        span: bytes of the largest signal that evaluation computes at a time; 0: all steps at once.
        fewest: steps that it computes at a time in any case.
        taped: whether a step of training is taken down on a tape and played; else autograd records each.
        fused: bytes of weights up to which a loop is one kernel, where its provider is `Fusing` and its nodes
            allow it: as many as stay at hand from step to step.
    """

    block: int = 0
    alone: tuple[type[Op], ...] = ()
    derived: bool = True
    held: int = 64 << 20
    passing: int = 16
    span: int = 0
    fewest: int = 8
    taped: bool = False
    fused: int = 0


UNMEASURED: Final = Sizes()
"""For devices on which nobody has measured what pays."""


def wide(signals: torch.dtype) -> torch.dtype:
    """What numbers of 16 bits are computed in; others as they are."""
    return torch.float32 if signals in (torch.float16, torch.bfloat16) else signals


LoopLaunch = Callable[[Sequence[Tensor], int, int, Mapping[str, int]], None]
"""Runs one pass of a `LoopKernel`: contiguous tensors in the order of `snnhw.passes.arguments`, T, B, and by
axis how long it is."""


class Draw(NamedTuple):
    """Random numbers that a node wants.

    Attributes:
        clocks: the steps; node, name: what they are for.
        shape: of one step, ``[B, ...]``.
        held: whether they are the same at every step; then there is one clock.
    """

    clocks: Sequence[Clock]
    node: str
    name: str
    shape: tuple[int, ...]
    held: bool = False


class Provider(Protocol):
    """Compiles kernels for one type of device, and knows what else is particular to it."""

    @property
    def sizes(self) -> Sizes: ...

    def computed(self, signals: torch.dtype) -> torch.dtype:
        """What it computes in, and keeps states in, where signals are of a dtype."""
        ...

    def compile(self, kernel: ScanKernel, dtype: torch.dtype, device: torch.device) -> Scan:
        """A kernel for signals of a dtype."""
        ...

    def empty(self, *shape: int, like: Tensor) -> Tensor:
        """Room for a signal, of the dtype and on the device of another one."""
        ...

    def uniform(self, draw: Draw, device: torch.device) -> Tensor:
        """The numbers of `snnhw.ir.uniform`, ``[T, B, ...]`` in float32 on the device. They are a function of
        their place alone, so that a device can make them itself; `drawn_on_host` copies them there."""
        ...

    def __hash__(self) -> int: ...


class Fusing(Provider, Protocol):
    """A provider that runs a whole loop as one kernel.

    Attributes:
        lanes: numbers of a vector; columns of weights are made up to a multiple of it.
    """

    lanes: int

    def loop(self, kernel: LoopKernel, passed: Pass, dtype: torch.dtype) -> LoopLaunch: ...


def fuses(provider: object) -> TypeGuard[Fusing]:
    """Whether a provider runs loops; `isinstance` would take longer than such a loop."""
    return hasattr(provider, "loop")


def drawn_on_host(draw: Draw, device: torch.device) -> Tensor:
    """What `Provider.uniform` gives, made by NumPy."""
    clocks, node, name, shape, held = draw
    steps = [uniform(clock, node, name, shape, held=held) for clock in clocks]
    return torch.from_numpy(np.stack(steps)).to(device)
