"""A run in one file: what an executable saves, and beside it the state that a long sequence is in.

A ``.safetensors`` file of arrays under the names of `snnhw.session.writing`; the state's are
``carried/KEY``, and ``beside/NAME`` what whoever trains goes on from, such as its place in the data.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from safetensors import SafetensorError
from safetensors.numpy import load, save

from snnhw.arrays import hosts
from snnhw.errors import InputError, LoadError
from snnhw.ir import Program, delay_lines, write_atomic
from snnhw.ir.files import read_bytes
from snnhw.ir.inputs import check_state
from snnhw.plugin import Arrays
from snnhw.session.writing import Array

__all__ = ["Checkpoint", "check_carried", "read_checkpoint", "write_checkpoint"]

CARRIED: Final = "carried/"

BESIDE: Final = "beside/"

MARK: Final = "snnhw.checkpoint"
"""A key of the file's metadata. Its value is `RESTING`, or anything else where a state is carried."""

RESTING: Final = "at rest"


class Checkpoint(NamedTuple):
    """What a file holds.

    Attributes:
        run: as `snnhw.plugin.Executable.save_state` gives it.
        carried: key -> array, what the next call would go on from; None: from rest.
        beside: name -> array, of whoever trains.
    """

    run: Arrays
    carried: Arrays | None
    beside: Arrays


def write_checkpoint(path: str | os.PathLike[str], saved: Checkpoint) -> None:
    """Write all of it, so that the name holds the old file or all of the new one.

    Raises:
        OSError: the file cannot be written; the name holds what it held before.
    """
    parts = {CARRIED: ("state", saved.carried or {}), BESIDE: ("array beside a checkpoint", saved.beside)}
    arrays = hosts("saved state", saved.run)
    for part, (what, held) in parts.items():
        arrays |= {f"{part}{key}": array for key, array in hosts(what, held).items()}
    mark = RESTING if saved.carried is None else "within a sequence"
    native = {name: array.astype(array.dtype.newbyteorder("="), order="C") for name, array in arrays.items()}
    write_atomic(path, save(dict(sorted(native.items())), metadata={MARK: mark}))


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """What was saved; of the run, `snnhw.plugin.Executable.load_state` checks it.

    Raises:
        LoadError: naming the file and what is wrong with it.
    """
    name = os.fspath(path)
    try:
        data = read_bytes(Path(name), sys.maxsize)
        mark = _mark(data)
        arrays = dict(sorted(load(data).items()))  # safetensors gives them in any order
    except LoadError as error:
        raise LoadError(f"cannot load '{name}': {error}") from error
    except (SafetensorError, KeyError, ValueError) as error:  # dtypes and ranks that NumPy lacks
        raise LoadError(f"cannot load '{name}': its arrays cannot be read: {error}") from error
    carried, beside = (_taken_out(arrays, part) for part in (CARRIED, BESIDE))
    return Checkpoint(arrays, None if mark == RESTING else carried, beside)


def _taken_out(arrays: dict[str, Array], part: str) -> dict[str, Array]:
    """Those of a part, by the rest of their names."""
    return {key.removeprefix(part): arrays.pop(key) for key in list(arrays) if key.startswith(part)}


def check_carried(program: Program, carried: Mapping[str, Array]) -> None:
    """A carried state is one of the program, of any batch.

    Raises:
        InputError: it lacks something, or its shapes do not fit the program or each other.
    """
    axes = {line.key: int(line.edge) for line in delay_lines(program)}
    sizes = [x.shape[axes[key]] for key, x in carried.items() if key in axes and x.ndim > axes[key]]
    try:
        check_state(program, {key: x.shape for key, x in carried.items()}, sizes[0] if sizes else 1)
    except InputError as error:
        raise InputError(f"{str(error).rstrip('.')}. Is it a checkpoint of this network?") from error


def _mark(data: bytes) -> str:
    size = int.from_bytes(data[:8], "little") if len(data) >= 8 else -1
    if not 0 <= size <= len(data) - 8:
        raise LoadError("it is no safetensors file, or it is cut off")
    try:
        return str(msgspec.json.decode(data[8 : 8 + size])["__metadata__"][MARK])
    except (msgspec.DecodeError, KeyError, TypeError, UnicodeDecodeError, RecursionError) as error:
        raise LoadError(
            "it holds no checkpoint; save_checkpoint writes them, and snnhw.load reads what save() wrote"
        ) from error
