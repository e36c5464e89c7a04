"""Kernels on several threads: torch's own where it runs on libgomp, else a few of ours.

A thread of libgomp that has nothing to do keeps its core busy for milliseconds, in case more comes. Other
threads beside it would run at half speed, on a machine with few cores, after every operation of torch's.

Where somebody else keeps a core busy, a thread that has finished waits busily too, and so keeps from its own
core the one that it waits for, until the system takes that away milliseconds later. After such a wait, small
jobs run on one thread for a while.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from queue import SimpleQueue
from threading import get_ident
from time import perf_counter
from typing import Any, Final

import torch

__all__ = ["share"]

Work = Callable[[int, int], object]

LATE: Final = 1e-3
"""Seconds that nobody waits for a thread which has a core: more than it takes to wake one."""

ALONE: Final = 0.1
"""Seconds after a wait in which small jobs do not try again: some twenty times what a wait costs."""

SMALL: Final = 16
"""Times `Limits.wake`: jobs of a few milliseconds, which a wait would make several times longer."""

REGION = ctypes.CFUNCTYPE(None, ctypes.c_void_p)

_POOLS: dict[int, ThreadPoolExecutor] = {}
_FORKED: list[bool] = []
_CROWDED: list[float] = [0.0]
"""Until when a core seems to be somebody else's."""


def _in_child() -> None:
    """A child has none of its parent's threads, and libgomp would wait for them forever."""
    _POOLS.clear()
    _FORKED.append(True)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def share(work: Work, tasks: int, *, cost: int, wake: int, held: Sequence[object] = ()) -> None:
    """Call ``work(first, last)`` over all tasks, split among torch's number of threads.

    Args:
        cost: elements times steps in all; a small job is not worth waking anybody for.
        wake: `Limits.wake`; 0: at least two threads, whatever torch's number.
        held: what the work needs to stay alive, as it knows addresses alone: who is interrupted does not wait
            for the others.
    """
    if cost < wake:
        work(0, tasks)
        return
    most = torch.get_num_threads() if wake else max(2, torch.get_num_threads())
    threads = min(most, tasks, 1 + cost // wake if wake else most)
    if threads <= 1 or (cost < SMALL * wake and perf_counter() < _CROWDED[0]):
        work(0, tasks)
        return
    jobs = iter([*pairwise(tasks * n // threads for n in range(threads + 1))])  # one for all threads
    errors: list[BaseException] = []
    ended: dict[int, float] = {}

    def take(_held: Sequence[object] = held) -> None:
        """What one thread does; a team may turn out smaller than asked for."""
        try:
            for first, last in jobs:
                work(first, last)
        except BaseException as error:  # noqa: BLE001  # it is the caller's, below
            errors.append(error)
        ended[get_ident()] = perf_counter()

    begun = perf_counter()
    _region(take, threads)
    if errors:
        raise errors[0]
    if get_ident() not in ended:  # Ctrl-C came outside of its lines, and ctypes passes that over
        raise KeyboardInterrupt
    _look(begun, ended[get_ident()])


def _look(begun: float, ended: float) -> None:
    """Whether this thread has waited for others longer than it worked."""
    now = perf_counter()
    if now - ended > LATE + (ended - begun):
        _CROWDED[0] = now + ALONE


def _region(take: Callable[[], None], threads: int) -> None:
    """Have several threads call it, this one among them."""
    parallel = None if _FORKED else _libgomp()
    if parallel:
        parallel(REGION(lambda _: take()), None, threads, 0)
        return
    ended: SimpleQueue[None] = SimpleQueue()  # a future has locks, which an interrupt could leave behind
    for _ in range(threads - 1):
        _pool(threads - 1).submit(_taking, take, ended)
    take()
    for _ in range(threads - 1):
        ended.get()


def _taking(take: Callable[[], None], ended: SimpleQueue[None]) -> None:
    take()
    ended.put(None)


@lru_cache(maxsize=1)
def _libgomp() -> Any:
    """``GOMP_parallel(region, data, threads, flags)`` of the libgomp that torch has loaded, if it has one."""
    for path in sorted((Path(torch.__file__).parent / "lib").glob("libgomp*.so*")):
        try:
            return ctypes.CDLL(str(path)).GOMP_parallel
        except (OSError, AttributeError):  # not what its name says
            continue
    return None


def _pool(workers: int) -> ThreadPoolExecutor:
    if workers not in _POOLS:
        _POOLS[workers] = ThreadPoolExecutor(workers, thread_name_prefix="snnhw-cpu")
    return _POOLS[workers]
