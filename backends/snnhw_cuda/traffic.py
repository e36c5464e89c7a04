"""What each loop of a kernel moves between memory and registers, for one neuron and step: from its `ScanLoop`
alone. Machine code is held to it."""

from __future__ import annotations

from typing import NamedTuple

from snnhw.passes import Body, ScanLoop
from snnhw_cuda.limits import EACH, HELD

__all__ = ["Traffic", "changing", "grouped", "needed", "traffic"]


class Traffic(NamedTuple):
    """Numbers that one loop moves for one neuron and step.

    Attributes:
        loop: ``steps`` forward in time; ``begins`` to the beginning of the last chunk, ``chunk`` through a
            chunk, keeping its states, and ``back`` through it.
        read, written: of signals.
        kept: written to the scratch memory, or read there, which caches may hold.
    """

    loop: str
    read: int
    written: int
    kept: int = 0

    @property
    def signals(self) -> int:
        return self.read + self.written

    @property
    def again(self) -> int:
        """What is read of the scratch memory."""
        return self.kept if self.loop == "back" else 0

    @property
    def loaded(self) -> int:
        """What a step needs of memory before it begins."""
        return self.read + self.again


def traffic(passed: ScanLoop) -> tuple[Traffic, ...]:
    """Its loops over whole groups of steps, in the order in which they stand in the source."""
    onward = len(changing(passed, "x", passed.step))
    if passed.reverse is None:
        return (Traffic("steps", onward, len(passed.kind("y"))),)
    kept = len(needed(passed))
    changed = sum("T" in x.axes for x in passed.kind("X"))
    back = Traffic("back", len(changing(passed, "xg", passed.reverse)), changed, kept)
    again = (Traffic("begins", onward, 0), Traffic("chunk", onward, 0, kept))
    return (*(again if kept else ()), back)


def grouped(passed: ScanLoop, dtype: str, most: int) -> int:
    """How many steps are loaded at once: as many as asked for, if registers hold them."""
    registers = EACH * (2 if dtype == "float64" else 1) * max(each.loaded for each in traffic(passed))
    return max(1, min(most, HELD // max(1, registers)))


def changing(passed: ScanLoop, letters: str, body: Body) -> list[str]:
    """Signals with a time axis that a step reads."""
    return [x.name for x in passed.kind(letters) if "T" in x.axes and x.name in body.reads]


def needed(passed: ScanLoop) -> list[int]:
    """The states whose values a step backwards reads, before or after the step."""
    reads = set(passed.reverse.reads if passed.reverse is not None else ())
    return [n for n in range(passed.states) if {f"s{n}", f"n{n}"} & reads]
