"""What there is to do on a device, the most important first, as values that go to a worker as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import chain, zip_longest
from typing import Final, Literal

from benchmarks.case import Case, Mode
from benchmarks.device.cases import CASES, case_of
from benchmarks.peers import MULTI_STEP, ON_A_GPU, SNNTORCH, Peer

__all__ = ["FIRST", "MISSING", "Kind", "Task", "cases_of_conformance", "modules", "peers_there", "rows"]

Kind = Literal["machine", "case", "module", "row"]


@dataclass(frozen=True)
class Task:
    """One piece of work of a worker, which answers with one row.

    Attributes:
        kind: asks what the machine is; holds the backend to one case of conformance; holds an eager module to
            snnTorch's; or compares snnhw with a peer on a case in a mode.
        name: of the case or module.
        mode, peer: of a row.
        tiny: whether a row has a few steps and samples.
    """

    kind: Kind
    name: str = ""
    mode: str = ""
    peer: str = ""
    tiny: bool = False

    @property
    def title(self) -> str:
        return " ".join(part for part in (self.kind, self.name, self.mode, self.peer) if part)


MISSING: Final = {
    "snntorch": "pip install --no-deps snntorch==1.0.0 nirtorch nir pandas",
    "spikingjelly": "pip install --no-deps spikingjelly==2.0.0 loguru SciencePlots",
}
"""What to say where a peer is not installed: none of these replaces the torch that is there."""

FIRST: Final[tuple[tuple[str, Mode, tuple[str, ...]], ...]] = (
    ("W1", "train", ("snntorch", "spikingjelly-graph")),
    ("W5 varying float32 T=64 B=64 N=16384", "fwd+bwd", ("spikingjelly",)),
    ("W5 varying bfloat16 T=64 B=64 N=16384", "fwd+bwd", ("spikingjelly",)),
    ("W3", "train", ("spikingjelly-hoisted", "snntorch")),
    ("W2", "train", ("snntorch",)),
    ("W7", "train", ("snntorch",)),
    ("W8 scalar", "train", ("snntorch", "spikingjelly-flexsn")),
    ("W6 N=512", "fwd+bwd", ("spikingjelly", "snntorch")),
    ("W6 N=4096", "fwd+bwd", ("spikingjelly",)),
    ("W10 T=1000", "fwd+bwd", ("snntorch-stateleaky",)),
    ("W12", "train", ("spikingjelly",)),
    ("W1", "train", ("snntorch-compiled", "spikingjelly", "spikingjelly-hoisted", "snntorch-graph")),
    ("W5 varying float32 T=25 B=128 N=1000", "fwd+bwd", ("spikingjelly", "snntorch")),
    ("W5 static float32 T=64 B=64 N=16384", "fwd+bwd", ("spikingjelly",)),
    ("W8 per neuron", "train", ("snntorch",)),
    ("W7 events", "train", ("snntorch", "snntorch-compiled")),
    ("W4", "train", ("spikingjelly",)),
    ("W9 T=1", "train", ("snntorch", "spikingjelly-graph")),
)
"""The rows that are wanted most, in this order; the others follow."""

WHERE_IT_PAYS: Final = {
    "snntorch-stateleaky": ("W10",),
    "spikingjelly-flexsn": ("W8",),
    "snntorch-compiled": ("W1", "W2", "W7", "W8", "W9"),
    "snntorch-graph": ("W1", "W2", "W7", "W8", "W9"),
}
"""Peers that are not measured on everything: what they are for, or where their loop is short."""

USUAL: Final = (SNNTORCH, MULTI_STEP)
"""Peers that come before the others, in what is not among the first rows."""

TOO_LONG: Final = {
    ("W10 T=10000", "snntorch"),
    ("W10 T=10000", "snntorch-stateleaky"),
    ("W6 N=16384", "snntorch"),
    ("W5 varying bfloat16 T=32 B=64 N=65536", "snntorch"),
    ("W5 varying float32 T=1024 B=64 N=1024", "snntorch"),
}
"""Rows that take too much of a few minutes."""

TOO_LARGE: Final = frozenset({"W6 N=4096", "W6 N=16384"})
"""Cases whose weights no rehearsal can make small."""


def peers_there() -> tuple[Peer, ...]:
    """Those whose package is installed."""
    return tuple(peer for peer in ON_A_GPU if find_spec(peer.package))


def rows(*, tiny: bool) -> tuple[Task, ...]:
    """All comparisons."""
    found = [*_first(), *_rest()]
    return tuple(
        Task("row", case.key, mode, peer.name, tiny)
        for case, mode, peer in dict.fromkeys(found)
        if not (tiny and case.key in TOO_LARGE)
    )


def _first() -> Iterator[tuple[Case, Mode, Peer]]:
    named = {peer.name: peer for peer in ON_A_GPU}
    for key, mode, peers in FIRST:
        yield from ((case_of(key), mode, named[peer]) for peer in peers)


def _rest() -> Iterator[tuple[Case, Mode, Peer]]:
    for peers in (USUAL, ON_A_GPU):
        for case in CASES:
            for mode in case.modes:
                yield from ((case, mode, peer) for peer in peers if _sensible(case, peer))


def _sensible(case: Case, peer: Peer) -> bool:
    if (case.key, peer.name) in TOO_LONG or (case.dtype != "float32" and peer.package == "snntorch"):
        return False  # where its states would be 16 bits, too, which is another function
    if case.eager and peer.package != "snntorch":
        return False
    return case.workload in WHERE_IT_PAYS.get(peer.name, (case.workload,))


def modules() -> tuple[Task, ...]:
    """All eager modules under all their options."""
    from benchmarks.device.modules import MODULES

    return tuple(Task("module", name) for name in MODULES)


def cases_of_conformance(classes: Sequence[str] = ()) -> tuple[tuple[Task, ...], tuple[Task, ...]]:
    """A quick look, and all the others, classes in turns: what a cut-off run leaves is some of each."""
    from snnhw.conformance.suite import chosen

    quick = {lazy.id for lazy in chosen(classes=classes, quick=True)}
    by_class: dict[str, list[str]] = {}
    for lazy in chosen(classes=classes):
        if lazy.id not in quick:
            by_class.setdefault(lazy.cls, []).append(lazy.id)
    turns = chain.from_iterable(zip_longest(*by_class.values()))
    rest = tuple(Task("case", name) for name in turns if name is not None)
    return tuple(Task("case", name) for name in sorted(quick)), rest
