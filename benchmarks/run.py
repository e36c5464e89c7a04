"""One case, one mode, one peer: build, gate, time, weigh."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from typing import Final

import torch

from benchmarks.case import Case, Mode, tiny
from benchmarks.dynamics import as_in_snntorch
from benchmarks.gate import Verdict, check
from benchmarks.measure import WARM_UP, Timing, by_events, by_the_host, compare
from benchmarks.memory import Question, ask, on_gpu
from benchmarks.pair import Pair, prepare
from benchmarks.peers import Peer
from benchmarks.place import HERE, Place
from benchmarks.result import Name, Result, Skipped, label
from benchmarks.side import Job, Unavailable
from snnhw.errors import SnnhwError

__all__ = ["Settings", "row", "run"]


@dataclass(frozen=True)
class Settings:
    """How to measure.

    Attributes:
        modes: only these.
        repeats: pairs of timings; fewer when they take longer than ``seconds``.
        quick: a few steps and samples: shows that everything works, and nothing about speed.
        memory: whether to measure peaks too, of main memory in processes of their own.
        place: where.
    """

    modes: tuple[Mode, ...]
    repeats: int = 15
    seconds: float = 60.0
    quick: bool = False
    memory: bool = True
    place: Place = HERE


WARM_UP_ON_GPU: Final = 10

UNTIMED: Final[dict[str, None]] = {field.name: None for field in fields(Timing)}
UNWEIGHED: Final[dict[str, None]] = {"ours_peak_mb": None, "peer_peak_mb": None}


def run(cases: Sequence[Case], peers: Sequence[Peer], settings: Settings) -> Iterator[Result | Skipped]:
    """Every case in every mode beside every peer."""
    for case in cases:
        for mode in case.modes:
            if mode in settings.modes:
                for peer in peers:
                    yield row(case, mode, peer, settings)


def row(case: Case, mode: Mode, peer: Peer, settings: Settings) -> Result | Skipped:
    """One comparison: the results first, then times and peaks."""
    pair = prepare(tiny(case) if settings.quick else case, peer, settings.place)
    name = Name(case.workload, label(case, mode), peer.name)
    try:
        verdict = _gate(pair, mode, peer)
        timing = _time(pair, mode, settings) if verdict.correct else None
    except Unavailable as error:
        return Skipped(*name, str(error))
    except SnnhwError as error:
        return Skipped(*name, f"snnhw: {error}")
    return Result(
        workload=name.workload,
        mode=name.mode,
        peer=name.peer,
        **(asdict(timing) if timing else UNTIMED),
        **(_peaks(case, pair, mode, peer, settings) if timing and settings.memory else UNWEIGHED),
        correct=verdict.correct,
        aim=case.aim(peer.name),
        title=case.title,
        steps=pair.case.steps,
        batch=pair.case.batch,
        note=f"{verdict.note}; {peer.note}" if peer.note else verdict.note,
    )


def _gate(pair: Pair, mode: Mode, peer: Peer) -> Verdict:
    ours, theirs = pair.build["ours"](), pair.build["peer"]()
    immediate = peer.dynamics is not as_in_snntorch
    return check(pair.case, mode, ours, theirs, pair.data, immediate=immediate)


def _time(pair: Pair, mode: Mode, settings: Settings) -> Timing:
    """Both sides built afresh, as the gate left gradients and caches behind."""
    ours, theirs = (_job(pair, side, mode) for side in ("ours", "peer"))
    return compare(
        ours,
        theirs,
        repeats=settings.repeats,
        seconds=settings.seconds,
        clock=by_events if settings.place.is_gpu else by_the_host,
        warm_up=_warm_up(settings),
    )


def _warm_up(settings: Settings) -> int:
    """On a GPU more, as shapes that come again and again are recorded meanwhile, and frequencies rise."""
    if settings.quick:
        return 1
    return WARM_UP_ON_GPU if settings.place.is_gpu else WARM_UP


def _peaks(case: Case, pair: Pair, mode: Mode, peer: Peer, settings: Settings) -> dict[str, float | None]:
    if settings.place.is_gpu:
        ours, theirs = (on_gpu(partial(_job, pair, side, mode)) for side in ("ours", "peer"))
        return {"ours_peak_mb": ours, "peer_peak_mb": theirs}
    threads = torch.get_num_threads()
    question = Question(case.key, mode, peer.name, "ours", settings.quick, threads)
    return {"ours_peak_mb": ask(question), "peer_peak_mb": ask(replace(question, side="peer"))}


def _job(pair: Pair, side: str, mode: Mode) -> Job:
    return pair.build[side]().job(mode, pair.data)
