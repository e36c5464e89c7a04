"""A folder of checkpoints: which files it holds, what they hold besides the model, and which of them goes on.

Every file is what `snnhw.nn.Model.save_checkpoint` writes, whole or not at all; ``Model.load_checkpoint``
reads it, too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from snnhw.errors import InputError, LoadError, SnnhwError
from snnhw.nn import Model
from snnhw.session.checkpoint import read_checkpoint
from snnhw.training.history import Epoch
from snnhw.training.randomness import States
from snnhw.words import brief

__all__ = ["BEST", "Checkpoints", "Position", "Saved", "begin", "files", "load", "save", "save_best"]

NAME: Final = re.compile(r"step-(\d{8,})\.safetensors")

BEST: Final = "best.safetensors"

ASIDE: Final = ".aside"
"""Ending of files that are of a future which was left."""

VERSION: Final = 1


@dataclass(frozen=True)
class Checkpoints:
    """Where and how often a run is saved: at its beginning, after every epoch, and within.

    Attributes:
        folder: made where it is missing.
        every: number of batches after which it is saved within an epoch, too; None: not.
        keep: how many of the newest files stay.
        best: whether the best epoch so far is kept, as ``best.safetensors``.
    """

    folder: str | os.PathLike[str]
    every: int | None = None
    keep: int = 3
    best: bool = True

    def __post_init__(self) -> None:
        for name, value in (("every", self.every), ("keep", self.keep)):
            none = value is None and name == "every"
            if not none and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise InputError(f"Checkpoints({name}={brief(value)}): give a whole number above 0")

    @property
    def path(self) -> Path:
        return Path(self.folder)


@dataclass(frozen=True)
class Position:
    """How far a run has come.

    Attributes:
        epochs: what came of those that have ended.
        steps: calls of ``Model.step`` in all.
        batches: of the present epoch; loss: the sum over its samples, in float64, as it is on a device;
            samples: how many; seconds: that they took.
        lr: learning rate of the last call; None before the first.
    """

    epochs: tuple[Epoch, ...] = ()
    steps: int = 0
    batches: int = 0
    loss: Any = 0.0
    samples: int = 0
    seconds: float = 0.0
    lr: float | None = None


@dataclass(frozen=True)
class Saved:
    """What a loop goes on from, besides the model.

    Attributes:
        random: states of all generators, now; begin: and when the epoch began.
    """

    position: Position
    random: States
    begin: States


def files(folder: Path) -> list[Path]:
    """The checkpoints in a folder, the oldest first."""
    found = [(int(match[1]), path) for path in folder.glob("step-*") if (match := NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found)]


def save(model: Model, to: Checkpoints, saved: Saved) -> Path:
    """Write one more, and then remove the oldest.

    Raises:
        OSError: it cannot be written; says which stands.
        InputError: the model holds parameters that are not finite.
    """
    path = to.path / f"step-{saved.position.steps:08d}.safetensors"
    _write(model, path, saved)
    for old in files(to.path)[: -to.keep]:
        old.unlink(missing_ok=True)
    return path


def save_best(model: Model, to: Checkpoints, saved: Saved) -> None:
    """Put it in the place of the best so far."""
    _write(model, to.path / BEST, saved)


def _write(model: Model, path: Path, saved: Saved) -> None:
    position = replace(saved.position, loss=float(saved.position.loss))
    beside: dict[str, Any] = {"position": _encoded({"version": VERSION, "position": position})}
    for when, states in (("random", saved.random), ("begin", saved.begin)):
        beside |= {f"{when}/{name}": state for name, state in states.items()}
    try:
        model.save_checkpoint(path, beside)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}{stands(path.parent)}", str(path)) from error


def stands(folder: Path) -> str:
    """What is left to go on from, for the end of a message."""
    found = files(folder)
    return f"; the last checkpoint is '{found[-1]}'" if found else "; there is no checkpoint"


def _encoded(value: object) -> Any:
    return np.frombuffer(msgspec.json.encode(value), np.uint8).copy()


def begin(to: Checkpoints, resume: bool | str | os.PathLike[str]) -> Path | None:
    """The checkpoint that a run goes on from; None where it begins.

    Args:
        resume: False: it begins, in a folder without checkpoints; True: it goes on from the newest, or begins
            where there is none; or the file to go on from. Newer ones are set aside.

    Raises:
        InputError: the folder holds the checkpoints of a run already.
        OSError: it cannot be made.
    """
    to.path.mkdir(parents=True, exist_ok=True)
    found = files(to.path)
    if resume is False:
        if found:
            raise InputError(
                f"'{to.path}' holds a run already, up to '{found[-1].name}'; give resume=True to go on "
                "with it, or another folder"
            )
        return None
    if resume is True:
        return found[-1] if found else None
    path = Path(resume)
    newer = found[found.index(path) + 1 :] if path in found else []
    for other in newer:
        other.replace(other.with_name(other.name + ASIDE))
    return path


def load(model: Model, path: Path) -> Saved:
    """Put the model back where it was, and say where that is.

    Raises:
        LoadError: the file is damaged or of something else; says which other one can be read.
        InputError: it is of another run.
    """
    try:
        return _parted(path, model.load_checkpoint(path))
    except LoadError as error:
        raise LoadError(f"{error}. {_offered(path)}") from error


def _parted(path: Path, beside: Mapping[str, Any]) -> Saved:
    kept: dict[str, dict[str, Any]] = {"random": {}, "begin": {}, "position": {}}
    for key, array in beside.items():
        part, _, name = key.partition("/")
        kept.setdefault(part, {})[name] = array
    text = kept["position"].get("")
    if text is None:
        raise LoadError(
            f"cannot go on from '{path}': it is of a loop of one's own, and says nothing of a place in the "
            "data; Model.load_checkpoint reads it"
        )
    try:
        told = msgspec.json.decode(text.tobytes())
        if told["version"] != VERSION:
            raise LoadError(
                f"cannot go on from '{path}': it is of version {brief(told['version'])}, not {VERSION}"
            )
        position = msgspec.convert(told["position"], Position)
    except (msgspec.MsgspecError, KeyError, TypeError, AttributeError) as error:
        raise LoadError(
            f"cannot go on from '{path}': its place in the data cannot be read: {error}"
        ) from error
    return Saved(position, kept["random"], kept["begin"])


def _offered(path: Path) -> str:
    """Which other checkpoint to go on from."""
    for other in reversed([each for each in files(path.parent) if each != path]):
        try:
            read_checkpoint(other)
        except SnnhwError:
            continue
        return f"'{other}' can be read: resume='{other}', or `snnhw resume {other}`, goes on from there"
    return f"No other checkpoint in '{path.parent}' can be read"
