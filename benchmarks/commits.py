"""Two checkouts of this project in turns: what has a change cost, or gained?

    python -m benchmarks.commits ../before . W1 W5 W9

Each has a process of its own, with the same Python and the same packages, in which all jobs are built once.
They are timed one after the other, each first in every other pair, so that whatever else the machine does
meets both. What is printed is the ratio of neighbouring timings, before / after: 1.2 is a fifth faster.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median, quantiles
from time import sleep
from typing import IO, Annotated, Final

import typer

PAIRS: Final = 15

QUIET: Final = 0.3
"""Seconds before each timing: threads of the other process still wait busily for more work."""

WORKER: Final = """
import json, sys
import torch
from benchmarks.measure import _calls, _time, collected
from benchmarks.pair import prepare
from benchmarks.peers import PEERS
from benchmarks.result import label
from benchmarks.workloads import CASES

out, sys.stdout = sys.stdout, sys.stderr
jobs = {}
(peer,) = (peer for peer in PEERS if peer.name == "snntorch")
for case in CASES:
    if case.workload in sys.argv[1:]:
        for mode in case.modes:
            pair = prepare(case, peer)
            job = pair.build["ours"]().job(mode, pair.data)
            jobs[f"{case.workload} {label(case, mode)}"] = job, _calls(job)
print(json.dumps(list(jobs)), file=out, flush=True)
with collected():
    for line in sys.stdin:
        print(1e3 * _time(*jobs[line.strip()]), file=out, flush=True)
"""


@contextmanager
def _worker(folder: Path, workloads: list[str]) -> Iterator[tuple[IO[str], IO[str]]]:
    """Its questions and its answers."""
    paths = os.pathsep.join([str(folder), str(folder / "backends")])
    with subprocess.Popen(  # noqa: S603  # this project's own
        [sys.executable, "-c", WORKER, *workloads],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdin, process.stdout
        process.stdin.close()


def _ask(worker: tuple[IO[str], IO[str]], job: str) -> float:
    questions, answers = worker
    sleep(QUIET)
    questions.write(f"{job}\n")
    questions.flush()
    return float(answers.readline())


def main(
    before: Path,
    after: Path,
    workloads: list[str],
    pairs: Annotated[int, typer.Option(min=2, help="Of timings, for each row.")] = PAIRS,
) -> None:
    """Time one checkout beside another."""
    with ExitStack() as stack:
        workers = [stack.enter_context(_worker(folder.resolve(), workloads)) for folder in (before, after)]
        jobs, others = (json.loads(answers.readline()) for _, answers in workers)
        for job in (job for job in jobs if job in others):
            times: list[tuple[float, float]] = []
            for number in range(pairs):
                found = {side: _ask(workers[side], job) for side in ((0, 1) if number % 2 else (1, 0))}
                times.append((found[0], found[1]))
            ratios = [old / new for old, new in times]
            low, *_, high = quantiles(ratios, n=10, method="inclusive")
            old, new = (median(each) for each in zip(*times, strict=True))
            print(f"{job:30s} {median(ratios):5.2f} ({low:.2f} to {high:.2f})   {old:9.3f} ms  {new:9.3f} ms")


if __name__ == "__main__":
    typer.run(main)
