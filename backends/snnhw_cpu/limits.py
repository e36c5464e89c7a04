"""The sizes at which the CPU changes how it runs, as one value: another value is another path.

None of them changes what is computed. Imports no torch: options are built from it before anything runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["USUAL", "Limits", "Way"]

Way = Literal["dense", "skip", "lookup"]


@dataclass(frozen=True)
class Limits:
    """Where one way of running ends and another begins.

    Attributes:
        way: how linear layers multiply, and convolutions, which skip no zeros; None: as is cheapest for their
            input.
        block: bytes of a large signal that a chain of layers computes at a time; 0: without chains.
        own_pools: whether pools that keep one byte for each window run in place of torch's.
        derived: whether a loop's way back is derived; else autograd records it, as for a single step.
        held: bytes of signals that a loop keeps for its way back. A longer one keeps its states now and then,
            and computes what lies between again.
        passing: steps of a loop for which there is room when nothing is kept.
        span: bytes of the largest signal that evaluation computes at a time; fewest: steps in any case.
        taped: whether a step of training is taken down on a tape and played; else autograd records each.
        listed: bytes that a call may hold which is made again as a list of what it computes; 0: none is.
        warm: calls of the same sizes before one is listed.
        fused: bytes of weights up to which a loop of neurons and products is one kernel: as many as the
            second-level cache holds from step to step.
        together: numbers of a signal that such a kernel takes at a time, and no fewer than four samples.
        tile: neurons of a kernel's task: rows of whole pages, as memory is read ahead within a page; and its
            states over a chunk should fit the second-level cache.
        chunk: steps whose states a kernel holds at once on its way back; more go chunk by chunk.
        narrow: neurons below which a layer is laid out as one long row, its neurons' parameters repeated.
        wake: elements times steps that make it worth waking one more thread.
        reuse: bytes from which on a buffer is used again; smaller ones the allocator has at hand by itself.
    """

    way: Way | None = None
    block: int = 4 << 20
    own_pools: bool = True
    derived: bool = True
    held: int = 64 << 20
    passing: int = 16
    span: int = 4 << 20
    fewest: int = 8
    taped: bool = True
    listed: int = 4 << 20
    warm: int = 2
    fused: int = 2 << 20
    together: int = 1024
    tile: int = 1024
    chunk: int = 32
    narrow: int = 64
    wake: int = 400_000
    reuse: int = 1 << 20


USUAL: Final = Limits()
"""As measured."""
