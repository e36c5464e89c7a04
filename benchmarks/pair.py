"""Two libraries ready to run one case: same weights, same data, same dynamics."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from benchmarks import ours
from benchmarks.inputs import Data, make_data
from benchmarks.layers import init_weights
from benchmarks.peers import Peer
from benchmarks.quiet import quieted
from benchmarks.side import Side
from benchmarks.workloads import Case

__all__ = ["SIDES", "Pair", "prepare"]

SIDES = ("ours", "peer")


@dataclass(frozen=True)
class Pair:
    """A case, its data, and how to build each side of it."""

    case: Case
    data: Data
    ours: partial[Side]
    peer: partial[Side]

    def build(self, side: str) -> Side:
        """``ours`` or ``peer``; raises `Unavailable` for what it cannot do."""
        made: Side = {"ours": self.ours, "peer": self.peer}[side]()
        return made


def prepare(case: Case, peer: Peer) -> Pair:
    """Data and weights of a case, for snnhw and a peer."""
    data, weights = make_data(case), init_weights(case.net)
    if case.quiet:
        case = quieted(case, data, weights)
    return Pair(case, data, partial(ours.build, case, weights, peer.dynamics), partial(peer.build, case, weights))
