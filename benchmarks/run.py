"""One case, one mode, one peer: build, gate, time, weigh."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from benchmarks import gate, memory
from benchmarks.dynamics import as_in_snntorch
from benchmarks.gate import Verdict
from benchmarks.measure import Timing, compare
from benchmarks.pair import Pair, prepare
from benchmarks.peers import Peer
from benchmarks.result import Result, Skipped, label
from benchmarks.side import Unavailable
from benchmarks.workloads import Case, Mode, tiny
from snnhw.errors import SnnhwError

__all__ = ["Settings", "run"]


@dataclass(frozen=True)
class Settings:
    """How to measure.

    Attributes:
        modes: only these.
        repeats: pairs of timings; fewer when they take longer than ``seconds``.
        quick: a few steps and samples: shows that everything works, and nothing about speed.
        memory: whether to measure peaks too, in processes of their own.
    """

    modes: tuple[Mode, ...]
    repeats: int = 15
    seconds: float = 60.0
    quick: bool = False
    memory: bool = True


def run(cases: Sequence[Case], peers: Sequence[Peer], settings: Settings) -> Iterator[Result | Skipped]:
    """Every case in every mode beside every peer."""
    for case in cases:
        for mode in case.modes:
            if mode in settings.modes:
                for peer in peers:
                    yield _row(case, mode, peer, settings)


def _row(case: Case, mode: Mode, peer: Peer, settings: Settings) -> Result | Skipped:
    pair = prepare(tiny(case) if settings.quick else case, peer)
    try:
        verdict = _gate(pair, mode, peer)
        timing = _time(pair, mode, settings) if verdict.correct else None
    except Unavailable as error:
        return Skipped(case.workload, label(case, mode), peer.name, str(error))
    except SnnhwError as error:
        return Skipped(case.workload, label(case, mode), peer.name, f"snnhw: {error}")
    peaks = _peaks(case, mode, peer, settings) if timing else {}
    return _result(pair.case, mode, peer, verdict, timing, peaks)


def _gate(pair: Pair, mode: Mode, peer: Peer) -> Verdict:
    ours, theirs = pair.build["ours"](), pair.build["peer"]()
    immediate = peer.dynamics is not as_in_snntorch
    verdict = gate.check(pair.case, mode, ours, theirs, pair.data, immediate=immediate)
    return replace_note(verdict, peer.note)


def replace_note(verdict: Verdict, note: str) -> Verdict:
    """The verdict with what is always said about a peer."""
    return verdict._replace(note=f"{verdict.note}; {note}") if note else verdict


def _time(pair: Pair, mode: Mode, settings: Settings) -> Timing:
    """Both sides built afresh, as the gate left gradients and caches behind."""
    jobs = [pair.build[side]().job(mode, pair.data) for side in ("ours", "peer")]
    return compare(*jobs, repeats=settings.repeats, seconds=settings.seconds)


def _peaks(case: Case, mode: Mode, peer: Peer, settings: Settings) -> dict[str, float | None]:
    if not settings.memory:
        return {}
    threads = torch.get_num_threads()
    question = memory.Question(case.key, mode, peer.name, "", settings.quick, threads)
    return {side: memory.ask(replace(question, side=side)) for side in ("ours", "peer")}


def _result(
    case: Case, mode: Mode, peer: Peer, verdict: Verdict, timing: Timing | None, peaks: dict[str, float | None]
) -> Result:
    return Result(
        workload=case.workload,
        mode=label(case, mode),
        peer=peer.name,
        ratio=timing and timing.ratio,
        ratio_low=timing and timing.ratio_low,
        ratio_high=timing and timing.ratio_high,
        ours_ms=timing and timing.ours_ms,
        peer_ms=timing and timing.peer_ms,
        ours_peak_mb=peaks.get("ours"),
        peer_peak_mb=peaks.get("peer"),
        correct=verdict.correct,
        aim=case.aim(peer.name),
        title=case.title,
        steps=case.steps,
        batch=case.batch,
        note=verdict.note,
    )
