"""A few threads of our own, for kernels that let go of the interpreter lock."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import torch

__all__ = ["share"]

_POOLS: dict[int, ThreadPoolExecutor] = {}

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_POOLS.clear)  # a child has none of its parent's threads


def share(work: Callable[[int, int], object], tasks: int, cost: int) -> None:
    """Call ``work(first, last)`` over all tasks, split among torch's number of threads.

    Args:
        cost: elements times steps in all; a small job is not worth waking anybody for.
    """
    threads = min(torch.get_num_threads(), tasks, 1 + cost // 400_000)
    if threads <= 1:
        work(0, tasks)
        return
    bounds = [tasks * n // threads for n in range(threads + 1)]
    pool = _pool(threads - 1)
    others = [pool.submit(work, first, last) for first, last in pairwise(bounds[1:])]
    work(*bounds[:2])
    for other in others:
        other.result()


def _pool(workers: int) -> ThreadPoolExecutor:
    if workers not in _POOLS:
        _POOLS[workers] = ThreadPoolExecutor(workers, thread_name_prefix="snnhw-cpu")
    return _POOLS[workers]
