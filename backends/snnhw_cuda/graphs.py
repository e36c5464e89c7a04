"""Recordings on a GPU: CUDA graphs, one launch in place of hundreds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import torch
from torch import Tensor

from snnhw.tensors.execution.calls import Function, Groups
from snnhw.tensors.execution.commit import Change
from snnhw.tensors.execution.repeated import Recording, carried_out

__all__ = ["LOG", "WARM", "OnDevice"]

LOG: Final = logging.getLogger("snnhw.cuda")

WARM: Final = 2
"""Calls of the same shapes before one is recorded: kernels are compiled by then, and memory is at hand."""


@dataclass(frozen=True)
class OnDevice:
    """See `snnhw.tensors.execution.repeated.Records`. Other threads may use the GPU meanwhile."""

    device: torch.device

    def __call__(self, function: Function, given: Groups, params: Sequence[Tensor], /) -> Recording:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self.device), torch.cuda.graph(graph, capture_error_mode="thread_local"):
            found = function(given)
        return Recording(found, [partial(torch._C._CUDAGraph.replay, graph)])

    def changes(self, make: Callable[[], list[Change]], tensors: Sequence[Tensor], /) -> Recording:
        return carried_out(self, make, tensors)
