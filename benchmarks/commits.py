"""Two checkouts of this project in turns: what has a change cost, or gained?

    python -m benchmarks.commits ../before . W1 W5 W9

Each has a process of its own, with the same Python and packages, in which all jobs are built once; they are
timed one after the other, so that whatever else the machine does meets both. Where a process finds its memory
changes times by several in a hundred, for as long as it lives: so both are started anew for every round, and
take turns in being first. What is printed is before / after, so that 1.2 is a fifth faster: the median of the
rounds, and their least and largest.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from time import sleep
from typing import IO, Annotated, Final

import typer

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
torch.set_num_threads(int(sys.argv[1]))
jobs = {}
(peer,) = (peer for peer in PEERS if peer.name == "snntorch")
for case in CASES:
    if case.workload in sys.argv[2:]:
        for mode in case.modes:
            pair = prepare(case, peer)
            job = pair.build["ours"]().job(mode, pair.data)
            jobs[f"{case.workload} {label(case, mode)}"] = job, _calls(job)
print(json.dumps(list(jobs)), file=out, flush=True)
with collected():
    for line in sys.stdin:
        print(1e3 * min(_time(*jobs[line.strip()]) for _ in range(5)), file=out, flush=True)
"""
"""Answers with milliseconds: the least of five timings, as what else goes on only adds to them."""

Pipes = tuple[IO[str], IO[str]]
Round = dict[str, tuple[float, float]]


@contextmanager
def _worker(folder: Path, threads: int, workloads: list[str]) -> Iterator[Pipes]:
    """Its questions and its answers."""
    paths = os.pathsep.join([str(folder), str(folder / "backends")])
    with subprocess.Popen(  # noqa: S603  # this project's own
        [sys.executable, "-c", WORKER, str(threads), *workloads],
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


def _ask(worker: Pipes, job: str) -> float:
    questions, answers = worker
    sleep(QUIET)
    questions.write(f"{job}\n")
    questions.flush()
    return float(answers.readline())


def _round(folders: list[Path], threads: int, workloads: list[str], pairs: int) -> Round:
    """Job -> the least time of each folder, in their order."""
    with ExitStack() as stack:
        workers = [stack.enter_context(_worker(folder.resolve(), threads, workloads)) for folder in folders]
        first, second = (json.loads(answers.readline()) for _, answers in workers)
        found = {}
        for job in (job for job in first if job in second):
            times = [(_ask(workers[0], job), _ask(workers[1], job)) for _ in range(pairs)]
            one, other = zip(*times, strict=True)
            found[job] = min(one), min(other)
        return found


def main(
    before: Path,
    after: Path,
    workloads: list[str],
    *,
    rounds: Annotated[int, typer.Option(min=1, help="How often both are started.")] = 6,
    pairs: Annotated[int, typer.Option(min=1, help="Of timings, in a round, for each row.")] = 2,
    threads: Annotated[int, typer.Option(min=1, help="Of torch, in each process.")] = 1,
) -> None:
    """Time one checkout beside another."""
    found: list[Round] = []
    for number in range(rounds):
        turned = number % 2 == 1
        times = _round([after, before] if turned else [before, after], threads, workloads, pairs)
        found.append({job: (new, old) if turned else (old, new) for job, (old, new) in times.items()})
    for job in found[0]:
        ratios = [times[job][0] / times[job][1] for times in found]
        old, new = (min(times[job][side] for times in found) for side in (0, 1))
        spread = f"({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"{job:34s} {median(ratios):5.2f} {spread}   {old:8.3f} ms  {new:8.3f} ms")


if __name__ == "__main__":
    typer.run(main)
