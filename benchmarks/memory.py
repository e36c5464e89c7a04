"""Peak memory of one side, in a process of its own: ``python -m benchmarks.memory CASE MODE PEER SIDE``.

The process first runs the case over a few steps and samples, so that libraries are loaded and kernels
compiled. From there on, everything that building and running the case takes on top counts.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["Question", "ask", "on_gpu"]

ROOT: Final = Path(__file__).parents[1]
STATUS: Final = Path("/proc/self/status")
CALLS: Final = 3
CALLS_ON_GPU: Final = 6
"""Until shapes that come again and again have been recorded."""


@dataclass(frozen=True)
class Question:
    """Which side of what."""

    case: str
    mode: str
    peer: str
    side: str
    quick: bool
    threads: int


def ask(question: Question) -> float | None:
    """MB at the peak; None where the system does not tell."""
    if not STATUS.exists():
        return None
    given = json.dumps(question.__dict__)
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.memory", given]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603  # ourselves
    return float(done.stdout.splitlines()[-1])


def on_gpu(job: Callable[[], Callable[[], object]]) -> float:
    """MB that building and running a job takes of the GPU at its peak, as torch's allocator counts them.

    Building and the first calls belong to it: what a CUDA graph holds counts while it is captured, and not
    when it runs. The input, which was there before, is left out.
    """
    import torch

    gc.collect()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    _call(job(), CALLS_ON_GPU)
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def answer(question: Question) -> float:
    """Run the side in question, and see how far memory rose."""
    import torch

    from benchmarks.case import MODES, tiny
    from benchmarks.pair import prepare
    from benchmarks.peers import ON_A_CPU
    from benchmarks.workloads import CASES

    torch.set_num_threads(question.threads)
    mode = next(mode for mode in MODES if mode == question.mode)
    peer = next(peer for peer in ON_A_CPU if peer.name == question.peer)
    case = next(case for case in CASES if case.key == question.case)
    small = prepare(tiny(case), peer)
    _call(small.build[question.side]().job(mode, small.data))
    pair = prepare(tiny(case) if question.quick else case, peer)
    del small
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = _megabytes("VmRSS")
    _call(pair.build[question.side]().job(mode, pair.data))
    return _megabytes("VmHWM") - before


def _call(job: object, calls: int = CALLS) -> None:
    assert callable(job)
    for _ in range(calls):
        job()


def _megabytes(what: str) -> float:
    """A line of the system's account of this process, such as ``VmRSS:  123 kB``."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{what}:"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    print(answer(Question(**json.loads(sys.argv[1]))))
