"""A training run as a TOML file: its keys, and the values that they make."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from snnhw.errors import InputError, LoadError
from snnhw.words import brief, did_you_mean

if TYPE_CHECKING:
    from snnhw.training import LRSchedule

__all__ = ["COPY", "Config", "made", "read", "schedule_of", "write_copy"]

COPY: Final = "config.toml"
"""Name of a run's own copy, in its folder."""

Table = dict[str, Any]


@dataclass(frozen=True)
class Config:
    """The keys of a file, and what is taken for those that are not there.

    Attributes:
        network: ``"file.py:name"``, a torch module or a function that makes one; or a ``.snn`` file.
        data: ``"file.py:name"``, batches, or a function that gives them; validate: likewise.
        loss: ``{name = "ce_rate_loss", ...}``, of `snnhw.functional`; optimizer: of `snnhw.optim`.
        epochs: how many.
        backend: its name; None: the first that is ready. options: its own.
        time_steps: None: as many as the first batch has; static, clip_norm, accumulate, lengths, tbptt, dt,
            record: as for `snnhw.compile`.
        seed: of everything that is random.
        schedule: one of `snnhw.training`, as a table like that of the loss; or several, one after another.
        checkpoint: ``every``, ``keep`` and ``best`` of `snnhw.training.Checkpoints`.
        patience, monitor: as for `snnhw.training.fit`.
        timeout: seconds that one of several processes waits for another; joint: see
            `snnhw.training.ProcessRanks`.
        beside: the folder that files are looked for in; None: that of this file.
    """

    network: str
    data: str
    loss: Table
    optimizer: Table
    epochs: int
    validate: str | None = None
    backend: str | None = None
    options: Table = field(default_factory=dict)
    time_steps: int | None = None
    static: bool = False
    clip_norm: float | None = None
    accumulate: int = 1
    lengths: bool = False
    tbptt: int | None = None
    dt: float | None = None
    record: tuple[str, ...] = ()
    seed: int = 0
    schedule: Table | list[Table] | None = None
    checkpoint: Table = field(default_factory=dict)
    patience: int | None = None
    monitor: str = "loss"
    timeout: float = 600.0
    joint: bool = False
    beside: str | None = None


KEYS: Final = {item.name: item for item in fields(Config)}


def read(path: Path) -> Config:
    """Read a file.

    Raises:
        LoadError: it is no TOML.
        InputError: a key that there is not, one that is missing, or a value of another kind; lists the keys.
        OSError: it cannot be read.
    """
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LoadError(f"cannot load '{path}': it is no TOML: {error}") from error
    for name in given:
        if name not in KEYS:
            raise InputError(f"'{path}' has a key '{name}'.{did_you_mean(name, KEYS)} {_listed()}")
    for name, item in KEYS.items():
        needed = item.default is MISSING and item.default_factory is MISSING
        if needed and name not in given:
            raise InputError(f"'{path}' lacks '{name}'. {_listed()}")
    try:
        config = msgspec.convert(given, Config)
    except msgspec.ValidationError as error:
        raise InputError(f"'{path}': {error}; `snnhw train --help` shows an example") from error
    beside = path.parent.resolve() if config.beside is None else Path(config.beside)
    return replace(config, beside=str(beside))


def _listed() -> str:
    return f"The keys are {', '.join(KEYS)}."


def write_copy(path: Path, config: Config, folder: Path) -> None:
    """Put a copy into the folder of a run, from which it finds its files again."""
    from snnhw.ir import write_atomic

    text = path.read_text(encoding="utf-8")
    if "beside" not in tomllib.loads(text):
        text = f"beside = {json.dumps(config.beside)}  # where files are looked for\n{text}"
    write_atomic(folder / COPY, text.encode())


def made(key: str, table: Mapping[str, Any], known: Mapping[str, Callable[..., Any]]) -> Any:
    """What a table stands for: ``name`` says what, and the rest are its arguments.

    Args:
        key: where the table stands, for messages.

    Raises:
        InputError: a name or an argument that there is not; lists those that there are.
    """
    name = table.get("name")
    if name not in known:
        hint = did_you_mean(str(name), known)
        raise InputError(f"{key}: name is {brief(name)}.{hint} There are {', '.join(known)}.")
    arguments = {key: _frozen(value) for key, value in table.items() if key != "name"}
    return checked(f"{key} '{name}'", known[str(name)], arguments)


def checked(what: str, make: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """A call with arguments by name; `InputError` for one that it does not take."""
    asked = [each for each in signature(make).parameters.values() if each.kind is not Parameter.VAR_KEYWORD]
    takes = [each.name for each in asked]
    for name in arguments:
        if name not in takes:
            raise InputError(
                f"{what} takes no '{name}'.{did_you_mean(name, takes)} It takes "
                f"{', '.join(takes) or 'nothing'}."
            )
    return make(**arguments)


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def schedule_of(given: Table | list[Table] | None) -> LRSchedule | None:
    """A schedule, or several, one after another: all but the last rise to the next."""
    from snnhw.training import WarmUp
    from snnhw.training.schedules import SCHEDULES

    if given is None:
        return None
    tables = given if isinstance(given, list) else [given]
    found = [made("schedule", table, SCHEDULES) for table in tables]
    if not found:
        return None
    whole: LRSchedule = found[-1]
    for first in reversed(found[:-1]):
        if not isinstance(first, WarmUp):
            raise InputError(
                f"schedule: {type(first).__name__} has no end that another could follow; only WarmUp has one"
            )
        whole = first.then(whole)
    return whole
