"""A pass and its way back without autograd: taken down once for its sizes, and played as often as one likes.

Autograd makes a graph anew in every pass, and finds its way through it. A pass over the same sizes does the
same each time: the same works, on tensors that come from the same places. A tape takes that down while the
pass runs for the first time, each tensor as the number of a *slot*. The way back is the same list from its
end, which is the order in which autograd adds up what comes together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from snnhw.tensors.network.room import FAILURES, told
from snnhw.tensors.work import Work

__all__ = ["Played", "Score", "Tape", "Untaped"]


Name = tuple[str, str]
"""A group, such as ``params``, and a name in it."""


class Untaped(Exception):
    """A pass does something that a tape does not take down; says what."""


class Entry(NamedTuple):
    """One work.

    Attributes:
        reads, writes: slots of its tensors.
        needs: which of them a way back leads to.
        where: which part of the program does it, in words.
        done: slots that nothing reads any more.
    """

    work: Work
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    needs: tuple[bool, ...]
    where: str
    done: tuple[int, ...] = ()


class Played(NamedTuple):
    """A pass that was played: slots that are still of use, and what each work keeps for its way back."""

    slots: list[Any]
    kept: list[Any]


class Tape:
    """Takes down what `do` is asked for, while it does it.

    A tensor is known by where it comes from: it was given under a name, follows from sizes alone, or a work
    on this tape gave it. Whoever computes with any other tensor has done something beside the tape.

    Attributes:
        where: which part of the program runs, in words.
    """

    def __init__(self, given: Mapping[Name, Tensor], learns: Iterable[Name], sizes: tuple[int, int]) -> None:
        self._known = WeakIdKeyDictionary()
        self._constants: dict[int, Tensor] = {}
        self._learns: list[bool] = []
        self._entries: list[Entry] = []
        self._kept: list[Any] = []
        self.where = ""
        self._sizes = sizes
        learning = frozenset(learns)
        self._given = {name: self._slot(x, name in learning) for name, x in given.items()}

    def _slot(self, x: Tensor, learns: bool) -> int:
        self._learns.append(learns)
        self._known[x] = len(self._learns) - 1
        return len(self._learns) - 1

    def constant(self, x: Tensor) -> Tensor:
        """Note a tensor that follows from sizes alone."""
        self._constants[self._slot(x, learns=False)] = x
        return x

    def slot(self, x: Tensor) -> int:
        """Where a tensor comes from.

        Raises:
            Untaped: that is not known.
        """
        if x not in self._known:
            raise Untaped("it computes with what is not taken down")
        found: int = self._known[x]
        return found

    def learns(self, x: Tensor) -> bool:
        """Whether a way back leads to it."""
        return self._learns[self.slot(x)]

    def do(self, work: Work, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        reads = tuple(map(self.slot, tensors))
        needs = tuple(self._learns[slot] for slot in reads)
        done = work.forward(tensors, needs)
        # What a work hands on as it is has two places from now on.
        found = [x.view_as(x) if x in self._known else x for x in done.found]
        writes = tuple(self._slot(x, x.is_floating_point() and any(needs)) for x in found)
        self._entries.append(Entry(work, reads, writes, needs, self.where))
        self._kept.append(done.kept if any(needs) else None)
        return found

    def ended(self, wanted: Mapping[Name, Tensor], present: Mapping[Name, Tensor]) -> tuple[Score, Played]:
        """What was taken down, and what was found while it was.

        Args:
            wanted: what to find when it is played, by name.
            present: of what was given, what stays the same tensor.
        """
        results = {name: self.slot(x) for name, x in wanted.items()}
        fixed = self._constants | {self._given[name]: x for name, x in present.items()}
        score = Score(
            tuple(_dropping(self._entries, {*results.values(), *self._given.values(), *fixed})),
            [fixed.get(slot) for slot in range(len(self._learns))],
            {name: slot for name, slot in self._given.items() if name not in present},
            results,
            self._given,
            self._sizes,
        )
        slots: list[Any] = [None] * len(self._learns)
        for name, slot in results.items():
            slots[slot] = wanted[name]
        return score, Played(slots, self._kept)


def _dropping(entries: Sequence[Entry], lasting: set[int]) -> list[Entry]:
    """The same, each with the slots of which it is the last reader."""
    seen, found = set(lasting), []
    for entry in reversed(entries):
        touched = {*entry.reads, *entry.writes}
        found.append(entry._replace(done=tuple(touched - seen)))
        seen |= touched
    return found[::-1]


@dataclass(frozen=True, eq=False)
class Score:
    """A pass that can be played.

    Attributes:
        entries: in order.
        fixed: slot -> tensor that stays the same.
        given: name -> slot of what is given each time; results: of what is found; named: of all that has one.
        sizes: T and B.
    """

    entries: tuple[Entry, ...]
    fixed: list[Tensor | None]
    given: Mapping[Name, int]
    results: Mapping[Name, int]
    named: Mapping[Name, int]
    sizes: tuple[int, int]

    def play(self, given: Mapping[Name, Tensor]) -> Played:
        """Once more, with other tensors of the same sizes and dtypes."""
        slots: list[Any] = self.fixed.copy()
        for name, slot in self.given.items():
            slots[slot] = given[name]
        kept: list[Any] = []
        with torch.no_grad():
            for entry in self.entries:
                work, reads, writes, needs, _, done = entry
                try:
                    found, keeps = work.forward([slots[slot] for slot in reads], needs)
                except FAILURES as error:
                    raise told(error, entry.where, *self.sizes) from error
                kept.append(keeps)
                for slot, x in zip(writes, found, strict=True):
                    slots[slot] = x
                for slot in done:
                    slots[slot] = None
        return Played(slots, kept)

    def found(self, played: Played) -> dict[Name, Tensor]:
        """The results by name."""
        return {name: played.slots[slot] for name, slot in self.results.items()}

    def back(self, played: Played, seeds: Mapping[Name, Tensor]) -> dict[Name, Tensor]:
        """Adjoints of what was given, from those of results; what is missing is zero. Once for what was
        played."""
        grads: list[Any] = [None] * len(self.fixed)
        for name, seed in seeds.items():
            grads[self.results[name]] = seed
        with torch.no_grad():
            for entry in reversed(self.entries):
                try:
                    _pass_back(entry, played.kept.pop(), grads)
                except FAILURES as error:
                    raise told(error, f"the way back of {entry.where}", *self.sizes) from error
        return {name: g for name, slot in self.named.items() if (g := grads[slot]) is not None}


def _pass_back(entry: Entry, kept: Any, grads: list[Any]) -> None:
    work, reads, writes, needs, _, _ = entry
    if not any(needs):
        return
    arrived = [grads[slot] for slot in writes]
    if all(g is None for g in arrived):
        return
    for slot in writes:
        grads[slot] = None
    for slot, need, g in zip(reads, needs, work.backward(kept, arrived, needs), strict=True):
        if need and g is not None:
            grads[slot] = g if grads[slot] is None else grads[slot] + g
