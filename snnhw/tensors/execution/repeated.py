"""Calls that repeat, recorded once and then made again without the Python around them.

A recorded call reads and writes the same memory each time. So what it is given is copied there first, and
what it gives is copied out, into memory of its own for the caller.

A step of training is two recordings. The first computes, up to the gradients, and changes nothing that lasts.
The second clips them and updates, and is made by the one call that changes everything (`Change`): however a
step is interrupted, all of it has happened, or nothing. It works on the gradients where the first one leaves
them, and on parameters and the optimizer's memory where they lie.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from snnhw.tensors.execution.calls import LENT, Function, Groups
from snnhw.tensors.execution.commit import Change, at_once
from snnhw.tensors.noting import Parted, Unrepeatable
from snnhw.tensors.watched import watched

__all__ = ["CHANGED", "Recording", "Records", "Repeated", "carried_out"]

MOST: Final = 8
"""Recordings of one executable, of each name; each holds the memory of all that it computes. Calls of further
shapes are made directly: to record anew at every change of shapes would cost more than it saves."""

REMEMBERED: Final = 1024
"""Different calls that are counted; then counting begins anew."""

CHANGED: Final = "changed"
"""The group of what a recorded function writes to in place, and what it reads besides."""


class Recording(NamedTuple):
    """What a recording computes, and what computes it again, in order.

    Attributes:
        held: what these need to stay alive.
    """

    found: Groups
    again: Sequence[Change]
    held: object = None


class Records(Protocol):
    """Records a function of tensors that stay where they are. Nothing that lasts is changed meanwhile."""

    def __call__(self, function: Function, given: Groups, params: Sequence[Tensor], /) -> Recording:
        """
        Raises:
            Unrepeatable: this call is none that can be recorded; others may be.
            RuntimeError: torch's, of whatever a device cannot do while it records.
        """
        ...

    def changes(self, make: Callable[[], list[Change]], tensors: Sequence[Tensor], /) -> Recording:
        """The same of changes, see `snnhw.tensors.execution.calls.Calls.changes`; it finds nothing, and none
        of them is made meanwhile."""
        ...


def carried_out(
    record: Callable[[Function, Groups, Sequence[Tensor]], Recording],
    make: Callable[[], list[Change]],
    tensors: Sequence[Tensor],
) -> Recording:
    """Changes recorded as a function that makes them, where nothing happens while it is recorded."""

    def made(_: Groups) -> Groups:
        for change in make():
            change()
        return {}

    return record(made, {CHANGED: {str(number): x for number, x in enumerate(tensors)}}, ())


class _Repeat:
    """One call, with memory for what it is given."""

    def __init__(self, record: Records, function: Function, given: Groups, params: Sequence[Tensor]) -> None:
        self.given = _each(given, Tensor.clone)
        self.found, self.again, self.held = record(function, self.given, params)

    def __call__(self, given: Groups) -> Groups:
        for name, group in given.items():
            for key, x in group.items():
                self.given[name][key].copy_(x)
        at_once(self.again)
        lent = {name: group for name, group in self.found.items() if name in LENT}
        rest = {name: group for name, group in self.found.items() if name not in LENT}
        return {**_each(rest, Tensor.clone), **lent}


Kept = TypeVar("Kept")


class Repeated:
    """See `snnhw.tensors.execution.calls.Calls`. A call that cannot be recorded is made directly from then
    on; of what a device cannot record, a line in the log says why.

    Args:
        warm: calls of the same shapes before one is recorded: kernels are compiled by then, and memory is at
            hand.
        log: where to say it.
    """

    def __init__(self, record: Records, *, warm: int, log: logging.Logger) -> None:
        self._record, self._warm, self._log = record, warm, log
        self._seen: dict[Hashable, int] = {}
        self._kept: dict[str, dict[Hashable, Any]] = {}
        self._refused: set[str] = set()

    def __reduce__(self) -> Any:
        """What is recorded belongs to the memory of one executable."""
        return _anew, (self._record, self._warm, self._log)

    def __call__(
        self,
        name: str,
        function: Function,
        given: Groups,
        /,
        *,
        of: Callable[[], Hashable] = tuple,
        params: Sequence[Tensor] = (),
    ) -> Groups:
        tensors = [(group, key, x) for group in given for key, x in given[group].items()]
        if _looked_at(tensors[0][2]):
            return function(given)
        shapes = tuple((group, key, x.shape, x.stride(), x.dtype) for group, key, x in tensors)
        also = of()
        kind = (also, torch.get_num_threads(), shapes)
        found = self._recording(name, kind, lambda: _Repeat(self._record, function, given, params))
        if found is None:
            return function(given)
        if of() != also:  # it has decided how to go on, which it will not again
            del self._kept[name][kind]
        try:
            return found(given)
        except Parted:
            self._kept[name][kind] = None
            return function(given)

    def changes(
        self, name: str, make: Callable[[], list[Change]], of: Hashable, tensors: Sequence[Tensor]
    ) -> list[Change]:
        kind = (of, torch.get_num_threads(), tuple((x.data_ptr(), x.shape, x.dtype) for x in tensors))
        found = self._recording(name, kind, lambda: self._record.changes(make, tensors), turns=True)
        return [*found.again] if found else make()

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
        if self._seen[name, key] <= self._warm:
            return None
        try:
            kept[key] = record()
        except Unrepeatable as error:
            self._log.debug("a %s is not recorded: %s", name, error)
            kept[key] = None
        except RuntimeError as error:
            self._log.warning(
                "each %s launches its kernels one by one, as it cannot be recorded: %s", name, error
            )
            self._refused.add(name)
            return None
        if len(kept) > MOST:
            del kept[next(iter(kept))]
        found: Kept | None = kept[key]
        return found


def _anew(record: Records, warm: int, log: logging.Logger) -> Repeated:
    return Repeated(record, warm=warm, log=log)


def _looked_at(like: Tensor) -> bool:
    """Whether somebody wants to see every operation."""
    return watched([like]) or torch.is_autocast_enabled(like.device.type)


def _each(groups: Groups, of: Callable[[Tensor], Tensor]) -> dict[str, dict[str, Tensor]]:
    return {name: {key: of(x) for key, x in group.items()} for name, group in groups.items()}
