"""Calls that repeat, recorded as CUDA graphs: one launch in place of hundreds.

A recorded call reads and writes the same memory each time. So what it is given is copied there first, and
what it gives is copied out, into memory of its own for the caller.

A step of training is two graphs. The first computes, up to the gradients, and changes nothing that lasts.
The second, which clips them and updates, is launched by the one call that changes everything (`Change`):
however a step is interrupted, all of it has happened, or nothing. It works on the gradients where the first
one leaves them, and on parameters and the optimizer's memory where they lie.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

import torch
from torch import Tensor

from snnhw.tensors.execution.calls import LENT, Function, Groups
from snnhw.tensors.execution.commit import Change

__all__ = ["CHANGED", "Graphs", "OnDevice", "Record", "Recorded"]

LOG: Final = logging.getLogger("snnhw.cuda")

WARM: Final = 2
"""Calls of the same shapes before one is recorded: kernels are compiled by then, and memory is at hand."""

MOST: Final = 8
"""Recordings of one executable, of each name; each holds the memory of all that it computes. Calls of further
shapes are made directly: to record anew at every change of shapes would cost more than it saves."""

REMEMBERED: Final = 1024
"""Different calls that are counted; then counting begins anew."""

CHANGED: Final = "changed"
"""The group of what a recorded function writes to in place, and what it reads besides."""


class Recorded(NamedTuple):
    """What a recording computes, and what computes it again: something written in C (`Change`)."""

    found: Groups
    again: Change


Record = Callable[[Function, Groups], Recorded]
"""Records a function of tensors that stay where they are. Nothing that lasts is changed meanwhile."""


@dataclass(frozen=True)
class OnDevice:
    """Records as CUDA graphs of one GPU. Other threads may use it meanwhile."""

    device: torch.device

    def __call__(self, function: Function, given: Groups) -> Recorded:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self.device), torch.cuda.graph(graph, capture_error_mode="thread_local"):
            found = function(given)
        return Recorded(found, partial(torch._C._CUDAGraph.replay, graph))


class _Recording:
    """One call, with memory for what it is given."""

    def __init__(self, record: Record, function: Function, given: Groups) -> None:
        self.given = _each(given, Tensor.clone)
        self.found, self.again = record(function, self.given)

    def __call__(self, given: Groups) -> Groups:
        for name, group in given.items():
            for key, x in group.items():
                self.given[name][key].copy_(x)
        self.again()
        lent = {name: group for name, group in self.found.items() if name in LENT}
        rest = {name: group for name, group in self.found.items() if name not in LENT}
        return {**_each(rest, Tensor.clone), **lent}


Kept = TypeVar("Kept")


class Graphs:
    """See `snnhw.tensors.execution.calls.Calls`. A call that cannot be recorded is made directly from then
    on, and a line in the log ``snnhw.cuda`` says why."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._seen: dict[Hashable, int] = {}
        self._kept: dict[str, dict[Hashable, Any]] = {}
        self._refused: set[str] = set()

    def __reduce__(self) -> Any:
        """What is recorded belongs to the memory of one executable."""
        return Graphs, (self._record,)

    def __call__(self, name: str, function: Function, given: Groups, /) -> Groups:
        key = tuple(
            (group, each, tuple(x.shape), x.dtype) for group in given for each, x in given[group].items()
        )
        found = self._recording(name, key, lambda: _Recording(self._record, function, given))
        return found(given) if found else function(given)

    def changes(
        self, name: str, make: Callable[[], list[Change]], of: Hashable, tensors: Sequence[Tensor]
    ) -> list[Change]:
        def made(_: Groups) -> Groups:
            for change in make():
                change()
            return {}

        places = tuple((x.data_ptr(), tuple(x.shape), x.dtype) for x in tensors)
        given = {CHANGED: {str(number): x for number, x in enumerate(tensors)}}
        found = self._recording(name, (of, places), lambda: self._record(made, given).again, turns=True)
        return [found] if found else make()

    def _recording(
        self, name: str, key: Hashable, record: Callable[[], Kept], *, turns: bool = False
    ) -> Kept | None:
        """What is recorded by now, if anything is; the oldest makes room where it ``turns``."""
        kept = self._kept.setdefault(name, {})
        if key in kept or name in self._refused or (len(kept) == MOST and not turns):
            return kept.get(key)
        if len(self._seen) == REMEMBERED:
            self._seen.clear()
        self._seen[name, key] = self._seen.get((name, key), 0) + 1
        if self._seen[name, key] <= WARM:
            return None
        try:
            kept[key] = record()
        except RuntimeError as error:  # torch's, of whatever a device cannot do while it records
            LOG.warning("each %s launches its kernels one by one, as it cannot be recorded: %s", name, error)
            self._refused.add(name)
            return None
        if len(kept) > MOST:
            del kept[next(iter(kept))]
        found: Kept = kept[key]
        return found


def _each(groups: Groups, of: Callable[[Tensor], Tensor]) -> dict[str, dict[str, Tensor]]:
    return {name: {key: of(x) for key, x in group.items()} for name, group in groups.items()}
