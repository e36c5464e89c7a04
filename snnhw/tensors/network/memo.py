"""What layers remember, and for how long."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from torch import Tensor

from snnhw.tensors.network.ops import Operation

__all__ = ["Memo", "Remembering"]


@dataclass(frozen=True)
class Memo:
    """What the layers of a program remember. A new one for each pass is always right; one that is handed to
    several passes belongs to whoever knows that these agree on what stands in it.

    Attributes:
        chosen: node -> the way in which it runs, once the numbers of a pass have decided it. One who trains
            keeps it, so that sums are formed in one order from the first update to the last.
        derived: node -> what it has made of its parameters alone. Nothing about a tensor tells whether it
            has changed (an optimizer, NumPy or ``.data`` may write without a trace), so only who owns all
            that writes to the parameters may keep it, and forgets it with each of its writes.
        lasting: whether passes with the same parameters are many, or steps of a loop, so that what is derived
            of them costs nothing beside these.
    """

    chosen: dict[str, str] = field(default_factory=dict)
    derived: dict[str, Tensor] = field(default_factory=dict)
    lasting: bool = False


@runtime_checkable
class Remembering(Protocol):
    """A layer that runs in several ways, or makes something of its parameters first."""

    @property
    def ways(self) -> tuple[str, ...]:
        """The names of those that it chooses from by the numbers it meets."""
        ...

    def at(self, node: str, memo: Memo) -> Operation:
        """How it runs as that node of a program."""
        ...
