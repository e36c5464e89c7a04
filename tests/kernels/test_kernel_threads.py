"""Threads: work is shared without gaps, and a forked child gets new ones."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable

import pytest
import torch
from interrupts import interrupted

from snnhw_cpu import threads as own
from snnhw_cpu.limits import USUAL


def share(work: own.Work, tasks: int, cost: int) -> None:
    own.share(work, tasks, cost=cost, wake=USUAL.wake)


@pytest.fixture(params=["libgomp", "pool"])
def team(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose threads: torch's, or ours as where torch runs on something else."""
    if request.param == "pool":
        monkeypatch.setattr(own, "_libgomp", lambda: None)
    elif own._libgomp() is None:
        pytest.skip("torch does not run on libgomp here")


@pytest.mark.usefixtures("team")
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


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(("wake", "parts"), [(0, 2), (5, 1), (1 << 62, 1)])
def test_how_much_work_wakes_another_thread(wake: int, parts: int) -> None:
    """At 0 there are two at least, whatever torch's number."""
    seen: list[tuple[int, int]] = []
    own.share(lambda first, last: seen.append((first, last)), 6, cost=12, wake=wake)
    assert len(seen) == parts


@pytest.mark.usefixtures("team")
@pytest.mark.parametrize("kind", [ValueError, IndexError, KeyboardInterrupt])
def test_an_error_in_a_thread_is_the_callers(kind: type[BaseException]) -> None:
    def work(first: int, _: int) -> None:
        if first > 0:
            raise kind("second half")

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(kind, match="second half"):
            share(work, 2, cost=10**9)
    finally:
        torch.set_num_threads(before)


@pytest.mark.usefixtures("team")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # ctypes passes it over
def test_ctrl_c_at_any_line_is_the_callers() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)

    def shared() -> None:
        share(lambda first, last: None, 4, cost=10**9)

    try:
        shared()  # the threads are there from now on
        for at in range(20):  # how many there are differs, as either thread may take the jobs
            assert interrupted(shared, at, within="snnhw_cpu/threads")
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


REGION = own._region
SMALL_JOB, LARGE_JOB = own.SMALL * USUAL.wake - 1, own.SMALL * USUAL.wake


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds, which pass when a test says so; and two threads, one of which a team waits for."""
    now = [1000.0]
    region = own._region

    def late(take: Callable[[], None], threads: int) -> None:
        region(take, threads)
        now[0] += 2 * own.LATE

    monkeypatch.setattr(own, "perf_counter", lambda: now[0])
    monkeypatch.setattr(own, "_CROWDED", [0.0])
    monkeypatch.setattr(own, "_region", late)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    return now


def parts(cost: int) -> int:
    seen: list[tuple[int, int]] = []
    share(lambda first, last: seen.append((first, last)), 6, cost=cost)
    assert sum(last - first for first, last in seen) == 6
    return len(seen)


def test_after_a_wait_small_jobs_have_one_thread_for_a_while(clock: list[float]) -> None:
    assert parts(SMALL_JOB) == 2
    assert parts(SMALL_JOB) == 1
    assert parts(LARGE_JOB) == 2
    clock[0] += 2 * own.ALONE
    assert parts(SMALL_JOB) == 2


@pytest.mark.usefixtures("clock")
def test_who_hardly_waits_keeps_the_team(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "_region", REGION)
    assert [parts(SMALL_JOB) for _ in range(3)] == [2, 2, 2]
