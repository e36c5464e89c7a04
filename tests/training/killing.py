"""Kills training with -9 at random moments, and says what was left of it, as JSON on stdout.

    python killing.py KILLS SEED OPTIMIZER[-WAY]...

A process of its own, which forks one for each run: torch is imported once, and nothing computes before a
fork.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from plain import use_plain_torch
from torch import Tensor
from training_runs import Noisy, T, compiled, curve, loader

import snnhw.training.run as running
from snnhw.errors import SnnhwError
from snnhw.ir import OPTIMIZERS, write_atomic
from snnhw.session.checkpoint import read_checkpoint
from snnhw.training import Checkpoints, Cosine, WarmUp, checkpoints, fit
from snnhw.training.checkpoints import BEST, files

LONG: Final = 120.0
"""Seconds in which any run ends, on a busy machine, too."""


WAYS: Final[dict[str, dict[str, Any]]] = {
    "": {},
    "-tbptt": {"time_steps": 6, "tbptt": 2},
    "-lengths": {"static": False, "lengths": True, "tbptt": 2, "norm": False},
}
"""How sequences are taken, by the ending of what is asked for: whole, in parts, and of several lengths in
parts."""


def padded(rows: list[tuple[Tensor, int]]) -> tuple[Tensor, Tensor, Tensor]:
    """Sequences of 1, 3 or 5 steps."""
    xs, ys = zip(*rows, strict=True)
    y = torch.tensor(ys)
    return torch.stack(xs).expand(T, -1, -1), y, 2 * y + 1


def train(folder: Path, kind: str, told: int) -> None:
    """One process: to the end of the run, from wherever it stands. Each checkpoint is told once it is
    complete."""
    plain = checkpoints.save

    def save(model: Any, to: Checkpoints, saved: Any) -> Path:
        path = plain(model, to, saved)
        os.write(told, b"%d\n" % saved.position.steps)
        return path

    running.save = save  # type: ignore[attr-defined]  # where it is called
    for seed in (torch.manual_seed, np.random.seed, random.seed):
        seed(3)
    optimizer, dash, way = kind.partition("-")
    settings = WAYS[dash + way]
    collated: dict[str, Any] = {"collate_fn": padded} if "lengths" in settings else {}
    with compiled(OPTIMIZERS[optimizer](lr=0.02), chance=True, accumulate=2, **settings) as model:
        os.write(told, b"0\n")
        history = fit(
            model,
            loader(Noisy(), **collated),
            epochs=2,
            validate=loader(shuffle=False, **collated),
            schedule=WarmUp(4).then(Cosine()),
            checkpoint=Checkpoints(folder, every=1),
            resume=True,
        )
        state = {key: np.asarray(x).tobytes().hex() for key, x in model.executable.save_state().items()}
    write_atomic(folder / "end", json.dumps([repr(curve(history)), state], sort_keys=True).encode())


def forked(folder: Path, kind: str) -> tuple[int, int]:
    """A process, and where it tells of its checkpoints."""
    heard, told = os.pipe()
    process = os.fork()
    if not process:
        status = 1
        try:
            os.close(heard)
            train(folder, kind, told)
            status = 0
        except Exception:
            traceback.print_exc()
            raise
        finally:
            os._exit(status)
    os.close(told)
    return process, heard


def last_told(heard: int, first: bytes) -> int:
    """The newest checkpoint that was complete."""
    text = first
    while found := os.read(heard, 4096):
        text += found
    os.close(heard)
    return max(map(int, text.split()), default=-1)


def killed(folder: Path, kind: str, chance: random.Random, span: float) -> tuple[bool, int]:
    """Whether a process was killed before its end, and the newest checkpoint that it had completed."""
    process, heard = forked(folder, kind)
    first = os.read(heard, 2)  # it begins to train
    until = time.monotonic() + chance.uniform(0, span)
    while time.monotonic() < until:
        time.sleep(0.0005)
    os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise RuntimeError("training failed")
    return os.WIFSIGNALED(status), last_told(heard, first)


def unreadable(folder: Path) -> Iterator[str]:
    for path in [*files(folder), *folder.glob(BEST)]:
        try:
            read_checkpoint(path)
        except SnnhwError as error:
            yield str(error)


def campaign(kills: int, seed: int, kinds: list[str]) -> dict[str, Any]:
    """As many kills as are asked for, shared among the optimizers and ways."""
    use_plain_torch(setattr)
    torch.set_num_threads(1)
    chance = random.Random(seed)
    found: dict[str, Any] = {"kills": 0, "resumed": 0, "unreadable": [], "lost": [], "differ": []}
    with tempfile.TemporaryDirectory() as where:
        for kind in kinds:
            whole = Path(where) / kind
            whole.mkdir()
            process, heard = forked(whole, kind)
            os.read(heard, 2)  # it begins to train
            began = time.monotonic()
            last_told(heard, b"")
            os.waitpid(process, 0)
            span = time.monotonic() - began
            wanted = (whole / "end").read_text()
            runs, enough = 0, found["kills"] + -(-kills // len(kinds))
            while found["kills"] < enough:
                runs += 1
                folder = Path(where) / f"{kind}-{runs}"
                folder.mkdir()
                while not (folder / "end").exists():
                    dead, step = killed(folder, kind, chance, span)
                    found["kills"] += dead
                    found["unreadable"] += unreadable(folder)
                    newest = files(folder)
                    if step > 0 and (not newest or int(newest[-1].stem.partition("-")[2]) < step):
                        found["lost"].append(f"{folder.name}: {step}")
                found["resumed"] += 1
                if (folder / "end").read_text() != wanted:
                    found["differ"].append(folder.name)
    return found


if __name__ == "__main__":
    print(json.dumps(campaign(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])))
