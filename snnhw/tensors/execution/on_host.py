"""Recordings in main memory: a list of calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from snnhw.tensors.aten import SMALL
from snnhw.tensors.execution.calls import Function, Groups
from snnhw.tensors.execution.commit import Change
from snnhw.tensors.execution.repeated import Recording
from snnhw.tensors.noting import Again, Noting

__all__ = ["OnHost"]


@dataclass(frozen=True)
class OnHost:
    """See `snnhw.tensors.execution.repeated.Records`.

    Attributes:
        most: bytes that one of them may hold.
        around: gives calls before and after what is too small for several threads, of which there are so
            many; None: there are none.
    """

    most: int
    around: Callable[[int], tuple[Again, Again] | None] = lambda _: None

    def __call__(self, function: Function, given: Groups, params: Sequence[Tensor], /) -> Recording:
        tensors = [*params, *(x for group in given.values() for x in group.values())]
        with Noting(tensors, self.most, around=self._around()) as noting:
            found = function(given)
            for group in found.values():
                noting.look(group.values())
        return Recording(found, noting.calls(), noting.held)

    def changes(self, make: Callable[[], list[Change]], tensors: Sequence[Tensor], /) -> Recording:
        """What is computed first is noted; the changes themselves are calls already."""
        around = self._around()
        with Noting(tensors, self.most, atomic=True, around=around) as noting:
            made = make()
        if around and sum(x.numel() for x in tensors) < SMALL:
            made = [around[0], *made, around[1]]
        return Recording({}, [*noting.calls(), *made], noting.held)

    def _around(self) -> tuple[Again, Again] | None:
        return self.around(torch.get_num_threads())
