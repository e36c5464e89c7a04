"""The sizes at which a GPU's kernels change, as one value: another value is another path.

None of them changes what is computed, but ``block`` the order of a sum over neurons. Importing it imports no
torch: options are built from it before anything runs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from snnhw.tensors.scans.provider import Sizes

__all__ = ["EACH", "HELD", "INTERPRETED", "USUAL", "Limits"]

EACH: Final = 4
"""Neurons of a thread, as one load of 16 bytes brings in float32. Of more, registers hold no states."""

HELD: Final = 80
"""Registers of a thread, of 255, for what a group of steps loads. Of more, some kernels spill."""


@dataclass(frozen=True)
class Limits:
    """Where one way of running ends and another begins.

    Attributes:
        block: neurons that one program of a kernel takes through all steps, at most; a power of two.
        narrow: neurons below which a layer is laid out as one long row, its neurons' parameters repeated.
        group: steps that are loaded at once, at most.
        chunk: steps whose states a kernel keeps at once on its way back; more go chunk by chunk.
        derived: whether a loop's way back is derived; else autograd records it, as for a single step.
        held: bytes of signals that a loop keeps for its way back. A longer one keeps its states now and then,
            and computes what lies between again.
        passing: steps of a loop for which there is room when nothing is kept.
        span: bytes of the largest signal that evaluation computes at a time; fewest: steps in any case.
    """

    block: int = 512
    narrow: int = 64
    group: int = 4
    chunk: int = 32
    derived: bool = True
    held: int = 1 << 30
    passing: int = 16
    span: int = 256 << 20
    fewest: int = 8

    @property
    def sizes(self) -> Sizes:
        """How they divide a network's work. A GPU takes large signals as a whole."""
        from snnhw.tensors.scans.provider import Sizes

        return Sizes(
            derived=self.derived, held=self.held, passing=self.passing, span=self.span, fewest=self.fewest
        )


USUAL: Final = Limits()
"""Reasoned from what the compiler makes of a kernel (registers, loads in flight); not measured on a GPU."""

INTERPRETED: Final = replace(USUAL, block=4096)
"""The interpreter takes as long for a step of few neurons as for one of many."""
