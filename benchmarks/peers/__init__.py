"""The libraries that snnhw is measured beside."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from benchmarks.peers.compiled import COMPILED
from benchmarks.peers.flexsn import FLEXSN
from benchmarks.peers.graphed import GRAPHED, GRAPHED_LOOP
from benchmarks.peers.jitted import JITTED
from benchmarks.peers.peer import Peer
from benchmarks.peers.snntorch import SNNTORCH
from benchmarks.peers.spikingjelly import HOISTED, MULTI_STEP
from benchmarks.peers.stateleaky import STATE_LEAKY

__all__ = [
    "HOISTED",
    "JITTED",
    "MULTI_STEP",
    "ON_A_CPU",
    "ON_A_GPU",
    "PEERS",
    "SNNTORCH",
    "USUAL",
    "Peer",
    "families",
    "installed",
    "select",
]

PEERS = (SNNTORCH, MULTI_STEP, HOISTED)
"""Everywhere."""

USUAL = (*PEERS, JITTED)
"""On a CPU."""

ON_A_CPU = (*USUAL, COMPILED)
"""Also what takes a compiler and minutes, and so is asked for by its own name."""

ON_A_GPU = (*PEERS, GRAPHED, COMPILED, GRAPHED_LOOP, FLEXSN, STATE_LEAKY)
"""Also modes that are there for GPUs."""


def families() -> tuple[str, ...]:
    """Packages that peers come from."""
    return tuple(dict.fromkeys(peer.package for peer in USUAL))


def installed() -> tuple[str, ...]:
    """Those of them that are there."""
    return tuple(package for package in families() if find_spec(package))


def select(names: Sequence[str]) -> tuple[Peer, ...]:
    """Peers by their own name or by that of their package, which stands for all of its usual modes.

    Raises:
        ValueError: there is no such peer, or it is not installed.
    """
    known = {*families(), *(peer.name for peer in ON_A_CPU)}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"no peer {', '.join(unknown)}; known: {', '.join(sorted(known))}")
    usual = {peer for peer in USUAL if peer.package in names}
    found = tuple(peer for peer in ON_A_CPU if peer in usual or peer.name in names)
    missing = sorted({peer.package for peer in found if peer.package not in installed()})
    if missing:
        raise ValueError(f"{', '.join(missing)} is not installed; benchmarks/README.md says how")
    return found
