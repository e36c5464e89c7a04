"""A peer's whole unit of work, such as a training step, captured as one CUDA graph, and replayed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Final

import torch
from torch import Tensor

from benchmarks.case import Case, Mode
from benchmarks.dynamics import as_in_snntorch, as_in_spikingjelly
from benchmarks.inputs import Data
from benchmarks.peers import snntorch, spikingjelly
from benchmarks.peers.peer import Peer
from benchmarks.side import Grads, Job, Side, TorchSide, Trace, Unavailable

__all__ = ["GRAPHED", "GRAPHED_LOOP"]

WARM_UP: Final = 3
"""Calls before the capture, on a stream of their own, as torch asks for."""

NOTE: Final = "compared without the graph"


def _capture(job: Job) -> Job:
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            job()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        job()
    return graph.replay


class Graphed(Side):
    """Another side, with what is timed in a graph."""

    def __init__(self, side: TorchSide) -> None:
        self.side = side
        side.capturable = True

    def to(self, device: str) -> Side:
        if torch.device(device).type != "cuda":
            raise Unavailable("a CUDA graph needs a GPU")
        self.side.to(device)
        return self

    def job(self, mode: Mode, data: Data) -> Job:
        return _capture(self.side.job(mode, data))

    def traces(self, data: Data) -> dict[str, Trace]:
        return self.side.traces(data)

    def gradients(self, mode: Mode, data: Data) -> Grads:
        return self.side.gradients(mode, data)


def _graphed(
    build: Callable[[Case, Mapping[str, Tensor]], TorchSide], case: Case, weights: Mapping[str, Tensor]
) -> Side:
    if case.eager:
        raise Unavailable("the script is the tutorial's, which has no graph")
    return Graphed(build(case, weights))


def _jelly(case: Case, weights: Mapping[str, Tensor]) -> TorchSide:
    """Hoisted where there is something to hoist."""
    with suppress(Unavailable):
        return spikingjelly.build(case, weights, hoist=True)
    return spikingjelly.build(case, weights, hoist=False)


GRAPHED: Final = Peer(
    "spikingjelly-graph",
    "spikingjelly",
    partial(_graphed, _jelly),
    as_in_spikingjelly,
    f"{spikingjelly.NOTE}; hoisted where it can be; {NOTE}",
)
GRAPHED_LOOP: Final = Peer(
    "snntorch-graph", "snntorch", partial(_graphed, snntorch.build), as_in_snntorch, NOTE
)
