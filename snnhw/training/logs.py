"""What `snnhw.training.fit` may call with every epoch: each is a function of an `Epoch`.

Files hold every epoch once, also where a run was stopped and goes on from before an epoch that they hold
already.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from snnhw.ir import write_atomic
from snnhw.training.history import Epoch

__all__ = ["csv_log", "json_log", "logs", "row", "tensorboard_log"]

Log = Callable[[Epoch], object]

SCORES: Final = ("loss", "accuracy", "spikes")


def row(epoch: Epoch) -> dict[str, Any]:
    """An epoch as flat names and numbers; None where there is none."""
    scores = {f"validation_{name}": getattr(epoch.validation, name, None) for name in SCORES}
    return {
        "epoch": epoch.number,
        "steps": epoch.steps,
        "lr": epoch.lr,
        "loss": epoch.loss,
        **scores,
        "samples": epoch.samples,
        "seconds": epoch.seconds,
    }


def csv_log(path: str | os.PathLike[str]) -> Log:
    """One row an epoch, under names of columns; the file is whole at any time."""

    def write(epoch: Epoch) -> None:
        new = row(epoch)
        text = io.StringIO()
        writer = csv.DictWriter(text, list(new), extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        earlier = csv.DictReader(_text(path).splitlines())
        writer.writerows([*(old for old in earlier if int(old["epoch"]) < epoch.number), new])
        write_atomic(path, text.getvalue().encode())

    return write


def json_log(path: str | os.PathLike[str]) -> Log:
    """One JSON object an epoch, each on a line of its own; the file is whole at any time."""

    def write(epoch: Epoch) -> None:
        lines = _text(path).splitlines()
        earlier = [line for line in lines if json.loads(line)["epoch"] < epoch.number]
        write_atomic(path, "".join(f"{line}\n" for line in [*earlier, json.dumps(row(epoch))]).encode())

    return write


def _text(path: str | os.PathLike[str]) -> str:
    return Path(path).read_text(encoding="utf-8") if Path(path).exists() else ""


def tensorboard_log(writer: Any) -> Log:
    """One point an epoch in every curve.

    Args:
        writer: a `torch.utils.tensorboard.SummaryWriter`, or another with its ``add_scalar``.
    """

    def write(epoch: Epoch) -> None:
        for name, value in row(epoch).items():
            if value is not None and name != "epoch":
                writer.add_scalar(name.replace("validation_", "validation/"), value, epoch.number)

    return write


def logs(*several: Log) -> Log:
    """All of them, one after the other."""

    def write(epoch: Epoch) -> None:
        for log in several:
            log(epoch)

    return write
