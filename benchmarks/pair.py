"""Two libraries ready to run one case: same weights, same data, same dynamics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from torch import Tensor

from benchmarks import ours
from benchmarks.activity import activated
from benchmarks.case import Case
from benchmarks.inputs import Data, make_data
from benchmarks.layers import init_weights
from benchmarks.peers import Peer
from benchmarks.place import HERE, Place
from benchmarks.side import Side

__all__ = ["Pair", "prepare"]


@dataclass(frozen=True)
class Pair:
    """A case, its data, and how to build its sides, ``ours`` and ``peer``.

    A builder raises `Unavailable` for what its library cannot do.
    """

    case: Case
    data: Data
    build: Mapping[str, Callable[[], Side]]


@lru_cache(maxsize=1)
def _made(case: Case) -> tuple[Case, Data, dict[str, Tensor]]:
    """Kept for the next mode or peer: large ones take seconds to draw."""
    data, weights = make_data(case), init_weights(case.net)
    if case.activity:
        case, weights = activated(case, data, weights)
    return case, data, weights


def prepare(case: Case, peer: Peer, place: Place = HERE) -> Pair:
    """Data and weights of a case, for snnhw and a peer."""
    case, data, weights = _made(case)
    builders: dict[str, Callable[[], Side]] = {
        "ours": lambda: ours.build(case, weights, peer.dynamics, place),
        "peer": lambda: peer.build(case, weights).to(place.device),
    }
    return Pair(case, data.to(place.device, case.torch_dtype), builders)
