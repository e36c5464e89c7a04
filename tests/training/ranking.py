"""Trains in several processes that talk through gloo, and says what each of them came to, as JSON on stdout.

    python ranking.py SIZE

A process of its own, which forks one for each rank, and one that trains alone: torch is imported once, and
nothing computes before a fork.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
import torch
from plain import use_plain_torch
from torch import distributed, nn
from torch.utils.data import DataLoader
from training_runs import B, Noisy, T, compiled, curve, loader, samples

import snnhw as snn
import snnhw.functional as SF
from snnhw.conformance import Case, all_cases
from snnhw.errors import InputError, RanksError
from snnhw.ir import SGD, AdamW
from snnhw.lowering import lower, make_job
from snnhw.registry import backend
from snnhw.training import Checkpoints, Cosine, ProcessRanks, Stopped, fit
from snnhw.training.checkpoints import files

LONG: Final = 200
"""Seconds after which a rank that waits for ever ends."""

SETTINGS: Final[dict[str, Any]] = {
    "accumulate": 2,
    "clip_norm": 0.05,
    "loss": SF.ce_count_loss(weight=torch.tensor([0.5, 1.0, 2.0])),
}


def hexed(arrays: Any) -> str:
    return "".join(np.asarray(arrays[key]).tobytes().hex() for key in sorted(arrays))


def seeded() -> None:
    for seed in (torch.manual_seed, np.random.seed, random.seed):
        seed(3)


class Here:
    """What one process does, alone or as one rank of several."""

    def __init__(self, rank: int, size: int, folder: Path, case: Case) -> None:
        self.rank, self.size, self.folder, self.case = rank, size, folder, case

    def exact(self) -> list[str]:
        """Halves of a batch whose numbers refuse to be rounded: parameters after an update, by backend."""
        case, own = self.case, slice(self.rank, None, self.size)
        found = []
        for name in ("reference", "cpu"):
            plugin = backend(name)
            job = make_job(
                plugin,
                case.program,
                time_steps=case.time_steps,
                batch=case.batch,
                loss=case.loss,
                optimizer=case.optimizer,
                ranks=ProcessRanks() if self.size > 1 else None,
            )
            with lower(plugin, case.program, case.params, job) as executable:
                executable.step({key: x[:, own] for key, x in case.inputs.items()}, {})
                after = executable.get_params()
            found.append(hexed({key: np.asarray(x, np.float32) for key, x in after.items()}))
        return found

    def steps(self) -> Any:
        """A loop of one's own, with a last batch that leaves some without a sample."""
        x, y = samples(8)
        losses = []
        with compiled(AdamW(lr=0.02), **SETTINGS) as model:
            for rows in (8, 8, 6, 3, 1, 8):
                own = slice(self.rank, rows, self.size)
                given = (x[own], y[own]) if len(y[own]) else ({}, {})
                losses.append(float(model.step(*given)[0]))
            return losses, hexed(model.params), {key: each.tolist() for key, each in model.params.items()}

    def parts(self) -> Any:
        """Sequences of several lengths in parts, some of which some ranks alone have steps for; two runs."""
        x, y = samples(8)
        x, lengths = x * torch.linspace(0.5, 2.0, T)[:, None, None], torch.tensor([5, 2, 4, 1, 5, 2, 3, 2])
        settings = {
            **SETTINGS,
            "static": False,
            "lengths": True,
            "tbptt": 2,
            "options": {"deterministic": True},
        }
        found: list[tuple[list[float], dict[str, Any]]] = []
        for _ in range(2):
            with compiled(AdamW(lr=0.02), **settings) as model:
                losses = []
                for rows in (8, 8, 7, 2, 8):
                    own = slice(self.rank, rows, self.size)
                    given, cut = ((x[:, own], y[own]), lengths[own]) if len(y[own]) else (({}, {}), None)
                    losses.append(float(model.step(*given, lengths=cut)[0]))
                found.append((losses, {key: each.tolist() for key, each in model.params.items()}))
        return *found[0], found[1] == found[0]

    def joint(self) -> Any:
        """Batch norm by the samples of all: losses and parameters after some steps, and what a batch leads to
        that does not go round."""
        torch.manual_seed(0)
        layers = nn.Linear(6, 12), nn.BatchNorm1d(12), leaky(), nn.Linear(12, 3), nn.BatchNorm1d(3), leaky()
        job: dict[str, Any] = {"loss": SF.ce_count_loss(), "optimizer": SGD(lr=0.1), "static": True}
        ranks = ProcessRanks(joint=True) if self.size > 1 else None
        x, y = samples(8)
        said = ""
        given = nn.Sequential(*layers), torch.zeros(B, 6)
        with snn.compile(*given, backend="cpu", time_steps=5, ranks=ranks, **job) as model:
            own = slice(self.rank, None, self.size)
            losses = [float(model.step(x[own], y[own])[0]) for _ in range(5)]
            try:
                model.step(*((x[:1], y[:1]) if self.rank == 0 else ({}, {})))
            except InputError as error:
                said = str(error)
            return losses, {key: each.tolist() for key, each in model.params.items()}, said

    def fitted(self) -> Any:
        """The loop, over a loader that shuffles, and scores."""
        told: list[int] = []
        found = [self._fitted(told, settings) for settings in ({"clip_norm": 0.05}, SETTINGS)]
        return found, told

    def _fitted(self, told: list[int], settings: dict[str, Any]) -> Any:
        with compiled(**settings) as model:
            seeded()
            data = loader(shuffle=True)
            history = fit(
                model,
                data,
                epochs=2,
                validate=[tuple(samples(7))],
                schedule=Cosine(),
                log=lambda epoch: told.append(epoch.number),
                monitor="accuracy",
            )
            return curve(history), hexed(model.params)

    def rows(self) -> Any:
        """Batches that know nothing of ranks: each takes its rows."""
        x, y = samples()
        data = [(x[first : first + B], y[first : first + B]) for first in range(0, len(y), B)]
        with compiled() as one, compiled() as other:
            a = curve(fit(one, data, epochs=2))
            b = curve(fit(other, loader(shuffle=False), epochs=2))
            return a, a == b and hexed(one.params) == hexed(other.params)

    def uneven(self) -> Any:
        """Data that is shared already, of which rank 0 has one batch more."""
        x, y = samples(2 * B)
        batches = [(x[:B], y[:B]), (x[B:], y[B:])][: 2 if self.rank == 0 else 1]
        with compiled() as model:
            epoch = fit(model, Shared(batches), epochs=1).last
            return epoch.samples, epoch.steps, epoch.loss, hexed(model.params)

    def chance(self) -> Any:
        """With dropout, noise, batch norm and data that draws: a run that goes on within an epoch is the one
        that never stopped, on every rank."""
        whole = Checkpoints(self.folder / f"whole-{self.size}", every=1, keep=50)
        cut = Checkpoints(self.folder / f"cut-{self.size}", every=1, keep=50)
        first = self._by_chance(whole)
        if self.rank == 0:
            cut.path.mkdir()
            for path in files(whole.path)[:4]:  # which end within an epoch
                path.rename(cut.path / path.name)
        if self.size > 1:
            distributed.barrier()
        return first[0], self._by_chance(cut) == first, first[1]

    def _by_chance(self, to: Checkpoints) -> Any:
        seeded()
        with compiled(AdamW(lr=0.02), chance=True, accumulate=2) as model:
            data = DataLoader(Noisy(), 8, shuffle=True, drop_last=True)
            history = fit(model, data, epochs=2, checkpoint=to, resume=True)
            return curve(history), hexed({**model.executable.save_state()})

    def stopped(self) -> Any:
        """A signal to the last rank alone: all stop after the same step, with one checkpoint."""

        def data() -> Iterator[Any]:
            for number, batch in enumerate(loader(shuffle=False)):
                if number == 1 and self.rank == self.size - 1:
                    os.kill(os.getpid(), signal.SIGTERM)
                yield batch

        where = self.folder / f"stopped-{self.size}"
        with compiled() as model:
            try:
                fit(model, Again(data), epochs=2, checkpoint=where)
            except Stopped as stopped:
                return Path(stopped.path).name, str(stopped)
        return None

    def refused(self) -> Any:
        """What rank 0 finds wrong, all raise."""
        where = self.folder / f"stopped-{self.size}"
        with compiled() as model:
            try:
                fit(model, loader(), epochs=2, checkpoint=where)
            except InputError as error:
                return str(error)
        return None

    def last(self) -> Any:
        """The last rank ends in the middle of all: what the others raise, and after how many seconds."""
        if self.size == 1:
            return None
        x, y = samples(4)
        with compiled() as model:
            model.step(x, y)
            if self.rank == self.size - 1:
                os._exit(0)
            began = time.monotonic()
            try:
                model.step(x, y)
            except RanksError as error:
                return str(error), time.monotonic() - began
        return None


def leaky() -> nn.Module:
    return snn.Leaky(beta=0.8, init_hidden=True)


class Again:
    """Data that can be gone through again."""

    def __init__(self, make: Callable[[], Iterator[Any]]) -> None:
        self.make = make

    def __iter__(self) -> Iterator[Any]:
        return self.make()


class Shared(list[Any]):
    """As a loader with a sampler that shares."""

    sampler = SimpleNamespace(num_replicas=2)


def work(rank: int, size: int, port: int, folder: Path, case: Case) -> dict[str, Any]:
    signal.alarm(LONG)
    torch.set_num_threads(1)
    use_plain_torch(setattr)
    if size > 1:
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        wait = timedelta(seconds=60)
        distributed.init_process_group("gloo", rank=rank, world_size=size, timeout=wait)
    here = Here(rank, size, folder, case)
    names = ("exact", "steps", "parts", "joint", "fitted", "rows", "uneven", "chance", "stopped", "refused")
    found = {name: getattr(here, name)() for name in names}
    path = folder / f"{size}-{rank}"
    path.write_text(json.dumps(found, default=vars))
    if rank == size - 1:  # which ends here
        path.write_text(json.dumps({**found, "last": None}, default=vars))
    found["last"] = here.last()
    path.write_text(json.dumps(found, default=vars))
    return found


def forked(rank: int, size: int, *given: Any) -> int:
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        work(rank, size, *given)
        status = 0
    except Exception:
        traceback.print_exc()
        raise
    finally:
        os._exit(status)


def main(size: int) -> dict[str, Any]:
    (case,) = (lazy.case for lazy in all_cases() if lazy.id == "law/shares-dense")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as where:
        given = port, Path(where), case
        processes = [forked(0, 1, *given), *(forked(rank, size, *given) for rank in range(size))]
        statuses = [os.waitpid(process, 0)[1] for process in processes]
        names = ["1-0", *(f"{size}-{rank}" for rank in range(size))]
        told = [
            json.loads((Path(where) / name).read_text()) for name in names if (Path(where) / name).exists()
        ]
    return {"statuses": statuses, "alone": told[0], "ranks": told[1:]}


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))
