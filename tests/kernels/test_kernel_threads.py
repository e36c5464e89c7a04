"""Threads of our own: work is shared without gaps, and a forked child gets new ones."""

from __future__ import annotations

import multiprocessing

import pytest
import torch

from snnhw_cpu.threads import share


@pytest.mark.parametrize("tasks", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_every_task_is_done_once(tasks: int, threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    done: list[int] = []
    try:
        share(lambda first, last: done.extend(range(first, last)), tasks, cost=10**9)
    finally:
        torch.set_num_threads(before)
    assert sorted(done) == list(range(tasks))


def test_an_error_in_a_thread_is_the_callers() -> None:
    def work(first: int, _: int) -> None:
        if first > 0:
            raise ValueError("second half")

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(ValueError, match="second half"):
            share(work, 2, cost=10**9)
    finally:
        torch.set_num_threads(before)


def _child(answers: multiprocessing.queues.Queue[int]) -> None:
    done: list[int] = []
    share(lambda first, last: done.extend(range(first, last)), 8, cost=10**9)
    answers.put(len(done))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_works_after_its_parent_used_threads() -> None:
    share(lambda first, last: None, 8, cost=10**9)
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=_child, args=(answers,))
    child.start()
    assert answers.get(timeout=60) == 8
    child.join()
