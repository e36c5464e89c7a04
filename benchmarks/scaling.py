"""Weak scaling: the same work for each process, by one and by two, one thread each.

    python -m benchmarks.scaling                    # of a dense network
    python -m benchmarks.scaling --rounds 9 --steps 20 --hidden 1000

In turns, in one session: one process trains alone while the other waits; both train, each for itself, which
is what the machine gives; both train one network. Ratios are of a step alone to a step then: 1 is ideal.
"""

from __future__ import annotations

import argparse
import os
import socket
import time
from statistics import median
from typing import Any, Final

import torch
from torch import distributed, nn
from torch.multiprocessing.spawn import spawn

import snnhw as snn
import snnhw.functional as SF
from snnhw.training import ALONE, ProcessRanks

__all__ = ["main", "ratios"]

RANKS: Final = 2

STEPS, BATCH, CLASSES = 25, 64, 10
"""T, B of each process, and classes."""

WARM: Final = 3


def _model(hidden: int, ranks: Any) -> snn.nn.Model:
    torch.manual_seed(0)

    def layer(before: int, after: int) -> list[nn.Module]:
        return [nn.Linear(before, after), snn.Leaky(0.9, init_hidden=True)]

    net = nn.Sequential(*layer(784, hidden), *layer(hidden, CLASSES))
    job: dict[str, Any] = {"loss": SF.ce_rate_loss(), "optimizer": snn.optim.Adam(lr=1e-3)}
    return snn.compile(net, torch.zeros(BATCH, 784), backend="cpu", time_steps=STEPS, ranks=ranks, **job)


def _timed(model: snn.nn.Model, steps: int) -> float:
    """Seconds of a step."""
    generator = torch.Generator().manual_seed(1)
    x = (torch.rand(STEPS, BATCH, 784, generator=generator) < 0.1).float()
    y = torch.arange(BATCH) % CLASSES
    began = time.perf_counter()
    for _ in range(steps):
        model.step(x, y)
    return (time.perf_counter() - began) / steps


def _work(rank: int, port: int, hidden: int, rounds: int, steps: int) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", rank=rank, world_size=RANKS)
    found = []
    with _model(hidden, ALONE) as own, _model(hidden, ProcessRanks()) as shared:
        for number in range(-1, rounds):
            count = WARM if number < 0 else steps
            distributed.barrier()
            alone = _timed(own, count) if rank == 0 else 0.0
            distributed.barrier()
            each = _timed(own, count)
            distributed.barrier()
            together = _timed(shared, count)
            if number >= 0:
                found.append((alone / each, alone / together))
    if rank == 0:
        for what, ratio in zip(("each for itself", "one network"), zip(*found, strict=True), strict=True):
            print(f"{what:15}  {median(ratio):.2f} ({min(ratio):.2f} to {max(ratio):.2f})")
    distributed.destroy_process_group()


def ratios(hidden: int = 1000, rounds: int = 7, steps: int = 8) -> None:
    """Measure, and print medians and spreads."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    print(f"784-{hidden}-{CLASSES}, T={STEPS}, B={BATCH} a process; alone / {RANKS} processes")
    spawn(_work, args=(port, hidden, rounds, steps), nprocs=RANKS)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    for name, usual in (("hidden", 1000), ("rounds", 7), ("steps", 8)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    ratios(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
