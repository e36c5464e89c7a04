"""Does tasks, a line of JSON each, in a process of its own, which is all that a kernel's fault breaks.

    python -m benchmarks.device.worker cuda

A GPU on which something went wrong answers nothing any more to the process that did it. So the worker looks
after every task, and ends where that is so; who asked starts another one.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import lru_cache
from typing import Any, Final

import torch

from benchmarks.case import tiny
from benchmarks.device import machine, modules
from benchmarks.device.cases import bytes_at_least, case_of
from benchmarks.device.tasks import Kind, Task
from benchmarks.peers import ON_A_GPU
from benchmarks.place import GPU, INTERPRETED, Place
from benchmarks.result import Result
from benchmarks.run import Settings, row
from snnhw import registry
from snnhw.conformance.bench import Bench
from snnhw.conformance.outcome import judge
from snnhw.conformance.suite import all_cases

__all__ = ["PLACES", "answer", "main"]

PLACES: Final = {"cuda": GPU, "interpreted": INTERPRETED}

BROKEN: Final = 3
"""The status that it ends with when its device is of no use any more."""

PAIRS: Final = 15
SECONDS: Final = 3.0


def main(name: str) -> int:
    """Answer until there are no more questions."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what others print is no answer
    warnings.simplefilter("ignore")  # those of peers
    torch.backends.cudnn.allow_tf32 = False  # float32 is float32, on both sides
    place = PLACES[name]
    for line in sys.stdin:
        task = Task(**json.loads(line))
        found = answer(task, place)
        if _sound(place):
            print(json.dumps(found), file=answers, flush=True)
        else:
            print(json.dumps(found | {"lost": True}), file=answers, flush=True)
            return BROKEN
    return 0


def answer(task: Task, place: Place) -> dict[str, Any]:
    """A row; whatever goes wrong is one, too."""
    try:
        return DOES[task.kind](task, place)
    except Exception as error:  # noqa: BLE001  # a peer's fault, or ours, is one row's
        return {"error": f"{type(error).__name__}: {error}".strip()[:1000]}


def _sound(place: Place) -> bool:
    """Whether the device still answers; and everything that the task left there is given back."""
    if "torch._dynamo" in sys.modules:  # a peer has compiled
        torch._dynamo.reset()
    gc.collect()
    try:
        place.synchronize()
        if place.is_gpu:
            torch.cuda.empty_cache()
    except RuntimeError:
        return False
    return True


def _row(task: Task, place: Place) -> dict[str, Any]:
    case = case_of(task.name)
    (peer,) = (peer for peer in ON_A_GPU if peer.name == task.peer)
    (mode,) = (mode for mode in case.modes if mode == task.mode)
    pairs = 1 if task.tiny else PAIRS
    settings = Settings((mode,), pairs, SECONDS, quick=task.tiny, memory=place.is_gpu, place=place)
    found = row(case, mode, peer, settings)
    if not isinstance(found, Result):
        return asdict(found)
    if peer.name in ("snntorch-compiled", "snntorch-graph"):
        found = replace(found, aim=None)  # aims are about the loop as it is written
    least = bytes_at_least(tiny(case) if task.tiny else case, mode)
    if least and place.is_gpu and found.ours_ms and found.peer_ms:
        shortest = 1e3 * least / _bandwidth()
        found = replace(found, ours_roofline=shortest / found.ours_ms, peer_roofline=shortest / found.peer_ms)
    return asdict(found)


@lru_cache(maxsize=1)
def _bandwidth() -> float:
    return machine.bandwidth()


@lru_cache(maxsize=1)
def _bench(place: Place) -> Bench:
    return Bench(registry.backend(place.backend, dict(place.options)), dict(place.options))


@lru_cache(maxsize=1)
def _cases() -> dict[str, Any]:
    return {lazy.id: lazy for lazy in all_cases()}


def _case(task: Task, place: Place) -> dict[str, Any]:
    found = judge(_bench(place), _cases()[task.name])
    return {"id": found.id, "cls": found.cls, "outcome": found.outcome, "reason": found.reason}


DOES: Final[dict[Kind, Callable[[Task, Place], dict[str, Any]]]] = {
    "machine": lambda _, place: machine.described(place),
    "case": _case,
    "module": lambda task, place: modules.compare(task.name, place),
    "row": _row,
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
