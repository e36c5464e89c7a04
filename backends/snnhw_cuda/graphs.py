"""Calls that repeat, recorded as CUDA graphs: one launch in place of hundreds.

A recorded call reads and writes the same memory each time. So what it is given is copied there first, and
what it gives is copied out, into memory of its own for the caller.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from snnhw.tensors.execution.calls import Function, Groups

__all__ = ["Graphs", "OnDevice", "Record", "Recorded"]

LOG: Final = logging.getLogger("snnhw.cuda")

WARM: Final = 2
"""Calls of the same shapes before one is recorded: kernels are compiled by then, and memory is at hand."""

MOST: Final = 8
"""Recordings of one executable; each holds the memory of all that it computes. Calls of further shapes are
made directly: to record anew at every change of shapes would cost more than it saves."""


class Recorded(NamedTuple):
    """What a recording computes, and what computes it again."""

    found: Groups
    again: Callable[[], object]


Record = Callable[[Function, Groups], Recorded]
"""Records a function of tensors that stay where they are."""


@dataclass(frozen=True)
class OnDevice:
    """Records as CUDA graphs of one GPU. Other threads may use it meanwhile."""

    device: torch.device

    def __call__(self, function: Function, given: Groups) -> Recorded:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self.device), torch.cuda.graph(graph, capture_error_mode="thread_local"):
            found = function(given)
        return Recorded(found, graph.replay)


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
        return _each(self.found, Tensor.clone)


class Graphs:
    """See `snnhw.tensors.execution.calls.Calls`. A call that cannot be recorded is made directly from then
    on, and a line in the log ``snnhw.cuda`` says why."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._seen: dict[Hashable, int] = {}
        self._kept: dict[Hashable, _Recording] = {}
        self._refused: set[str] = set()

    def __reduce__(self) -> Any:
        """What is recorded belongs to the memory of one executable."""
        return Graphs, (self._record,)

    def __call__(self, name: str, function: Function, given: Groups) -> Groups:
        if name in self._refused:
            return function(given)
        key = (
            name,
            tuple(
                (group, each, tuple(x.shape), x.dtype) for group in given for each, x in given[group].items()
            ),
        )
        if key not in self._kept and not self._keep(key, name, function, given):
            return function(given)
        return self._kept[key](given)

    def _keep(self, key: Hashable, name: str, function: Function, given: Groups) -> bool:
        """Whether the call is recorded by now."""
        if len(self._kept) == MOST:
            return False
        self._seen[key] = self._seen.get(key, 0) + 1
        if self._seen[key] <= WARM:
            return False
        try:
            self._kept[key] = _Recording(self._record, function, given)
        except RuntimeError as error:  # torch's, of whatever a device cannot do while it records
            LOG.warning("each %s launches its kernels one by one, as it cannot be recorded: %s", name, error)
            self._refused.add(name)
            return False
        return True


def _each(groups: Groups, of: Callable[[Tensor], Tensor]) -> dict[str, dict[str, Tensor]]:
    return {name: {key: of(x) for key, x in group.items()} for name, group in groups.items()}
