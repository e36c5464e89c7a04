"""What a peer is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from benchmarks.case import Case
from benchmarks.dynamics import Dynamics
from benchmarks.side import Side

__all__ = ["Peer"]


@dataclass(frozen=True)
class Peer:
    """A library in one mode.

    Attributes:
        name: as results call it.
        package: what must be installed.
        build: its side of a case; raises `Unavailable` for what it cannot do.
        dynamics: how snnhw's program must change to compute what this library computes.
        note: what the reader of a result should know.
    """

    name: str
    package: str
    build: Callable[[Case, Mapping[str, Tensor]], Side]
    dynamics: Dynamics
    note: str = ""
