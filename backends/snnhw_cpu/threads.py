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
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path
from queue import SimpleQueue
from threading import get_ident
from time import perf_counter
from typing import Any, Final

import torch
from torch import Tensor

from snnhw.tensors.noting import launch

__all__ = ["share"]

Work = Callable[..., object]
"""Does tasks from a first one to a last one, which is left out; then come numbers."""

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


def share(
    work: Work,
    tasks: int,
    numbers: Sequence[int] = (),
    *,
    cost: int,
    wake: int,
    reads: Sequence[Tensor] = (),
    writes: Sequence[Tensor] = (),
) -> None:
    """Call ``work(first, last, *numbers)`` over all tasks, split among torch's number of threads.

    Args:
        numbers: sizes and addresses.
        cost: elements times steps in all; a small job is not worth waking anybody for.
        wake: `Limits.wake`; 0: at least two threads, whatever torch's number.
        reads, writes: what lies at the addresses, see `snnhw.tensors.noting.launch`.
    """
    if cost < wake:
        launch(partial(work, 0, tasks, *numbers), reads, writes)
    else:
        launch(
            partial(_share, partial(_from, work, numbers), tasks, cost, wake, (reads, writes)), reads, writes
        )


def _from(work: Work, numbers: Sequence[int], first: int, last: int) -> None:
    work(first, last, *numbers)


def _share(work: Work, tasks: int, cost: int, wake: int, held: object) -> None:
    """Where the job may be worth it. What is ``held`` stays alive, as the work knows addresses alone: who is
    interrupted does not wait for the others."""
    most = torch.get_num_threads() if wake else max(2, torch.get_num_threads())
    threads = min(most, tasks, 1 + cost // wake if wake else most)
    if threads <= 1 or (cost < SMALL * wake and perf_counter() < _CROWDED[0]):
        work(0, tasks)
        return
    jobs = iter([*pairwise(tasks * n // threads for n in range(threads + 1))])  # one for all threads
    errors: list[BaseException] = []
    ended: dict[int, float] = {}

    def take(_held: object = held) -> None:
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
    library = None if _FORKED else _libgomp()
    if library:
        library.GOMP_parallel(REGION(lambda _: take()), None, threads, 0)
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


def alone(threads: int) -> tuple[Callable[[], object], Callable[[], object]] | None:
    """Two calls: between them, operations of torch's that this thread makes take one thread, and behind them
    so many again. Not all of torch's libraries ask for that number, nor do other threads."""
    found = _libgomp()
    return (
        (partial(found.omp_set_num_threads, 1), partial(found.omp_set_num_threads, threads))
        if found
        else None
    )


@lru_cache(maxsize=1)
def _libgomp() -> Any:
    """The libgomp that torch has loaded, if it has one."""
    for path in sorted((Path(torch.__file__).parent / "lib").glob("libgomp*.so*")):
        try:
            found = ctypes.CDLL(str(path))
        except OSError:  # not what its name says
            continue
        if hasattr(found, "GOMP_parallel") and hasattr(found, "omp_set_num_threads"):
            return found
    return None


def _pool(workers: int) -> ThreadPoolExecutor:
    if workers not in _POOLS:
        _POOLS[workers] = ThreadPoolExecutor(workers, thread_name_prefix="snnhw-cpu")
    return _POOLS[workers]
