"""Ranks of one job in a single process: one after the other, each comes as far as the others let it.

A step changes nothing before all of it is there. So a rank that would wait for another one leaves its step
by an exception, and takes it again once that one has said its part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from snnhw.parity.arrays import hosts
from snnhw.plugin import Arrays, Executable, StepResult

__all__ = ["Meetings", "Seat", "stepped_together"]

MOST: Final = 8
"""Meetings of one step; more would have no end."""


class _Waits(BaseException):
    """A rank has said its part, which not all have."""


@dataclass
class Meetings:
    """What ``size`` ranks have agreed on in a step, one meeting after the other."""

    size: int
    agreed: list[Any] = field(default_factory=list)

    def seats(self) -> list[Seat]:
        return [Seat(rank, self) for rank in range(self.size)]


@dataclass
class Seat:
    """One rank, see `snnhw.plugin.Ranks`.

    Attributes:
        met: meetings of this step that it has been through.
        said: its part of the one that it waits for, and what becomes of all parts there.
    """

    rank: int
    meetings: Meetings
    joint: bool = False
    met: int = 0
    said: tuple[Callable[[list[Any]], Any], Any] | None = None

    @property
    def size(self) -> int:
        return self.meetings.size

    def sum(self, numbers: Sequence[float]) -> list[float]:
        found: list[float] = self._met(lambda parts: np.sum(parts, axis=0).tolist(), [*numbers])
        return found

    def reduce(self, values: Arrays) -> Arrays:
        whole = self._met(_added, {name: np.array(x) for name, x in hosts(values).items()})
        return {name: _like(whole[name], x) for name, x in values.items()}

    def first(self, value: Any) -> Any:
        return self._met(lambda parts: parts[0], value)

    def _met(self, together: Callable[[list[Any]], Any], part: Any) -> Any:
        if self.met == len(self.meetings.agreed):
            self.said = together, part
            raise _Waits
        self.met += 1
        return self.meetings.agreed[self.met - 1]


def _added(parts: list[Mapping[str, Any]]) -> dict[str, Any]:
    return {name: sum((each[name] for each in parts[1:]), parts[0][name]) for name in parts[0]}


def _like(whole: Any, given: Any) -> Any:
    """A new array of the same kind: a tensor's may lie on a device."""
    return given.new_tensor(whole) if hasattr(given, "new_tensor") else np.array(whole, given.dtype)


def stepped_together(
    ranks: Sequence[Executable], seats: Sequence[Seat], batches: Sequence[tuple[Arrays, Arrays]]
) -> list[StepResult]:
    """One step of every rank, each compiled with its seat, on the samples that it has."""
    meetings = seats[0].meetings
    meetings.agreed.clear()
    for _ in range(MOST):
        found = [_tried(*each) for each in zip(ranks, seats, batches, strict=True)]
        done = [each for each in found if each is not None]
        if len(done) == len(seats):
            return done
        said = [seat.said for seat in seats]
        assert not done, "all ranks meet equally often"
        assert None not in said, "likewise"
        parts = [each[1] for each in said if each]
        meetings.agreed.append(said[0][0](parts) if said[0] else None)
    raise AssertionError(f"a step of more than {MOST} meetings")


def _tried(rank: Executable, seat: Seat, batch: tuple[Arrays, Arrays]) -> StepResult | None:
    seat.met, seat.said = 0, None
    try:
        return rank.step(*batch)
    except _Waits:
        return None
