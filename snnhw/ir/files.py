"""Programs and their parameters in one file.

A ``.safetensors`` file: the parameters as tensors, the program as JSON in the metadata. Nothing in it
is code, equal content gives equal bytes, and an interrupted save leaves the old file whole.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from snnhw.errors import InputError, LoadError, ProgramError
from snnhw.ir.codec import from_json, to_json
from snnhw.ir.limits import LIMITS, Limits
from snnhw.ir.params import Params
from snnhw.ir.program import Program
from snnhw.ir.validate import check_params, require_valid
from snnhw.ir.writing import write_atomic

__all__ = ["load", "read_bytes", "save"]

KEY: Final = "snnhw"


def save(path: str | os.PathLike[str], program: Program, params: Params, *, limits: Limits = LIMITS) -> None:
    """Write a program and its parameters.

    Raises:
        ProgramError: the program is not valid, its parameters do not fit it, or it cannot be written,
            because it is too large or made of ops or surrogates that are not registered.
        OSError: the file cannot be written; the name holds what it held before.
    """
    require_valid(program)
    params = {key: _native(array) for key, array in params.items()}
    check_params(program, params, allow_nonfinite=True)
    arrays = {key: np.asarray(params[key], order="C") for key in sorted(params)}
    write_atomic(path, save_tensors(arrays, metadata={KEY: _written(program, limits)}))


def _native(array: Any) -> Any:
    """In this machine's byte order: a file has one of its own."""
    swapped = isinstance(array, np.ndarray) and not array.dtype.isnative
    return array.astype(array.dtype.newbyteorder("=")) if swapped else array


def _written(program: Program, limits: Limits = LIMITS) -> str:
    """The program as JSON text, read back once: a file that nobody can load is not worth having."""
    try:
        header = msgspec.json.encode(to_json(program))
        if len(header) > limits.header // 2:  # it is quoted once more in the file
            raise LoadError(f"it takes {len(header)} bytes; at most {limits.header // 2} are accepted")
        same = from_json(msgspec.json.decode(header), limits) == program
    except (LoadError, TypeError, UnicodeError) as error:
        raise ProgramError(f"it cannot be written: {error}") from error
    if not same:
        raise ProgramError("it cannot be written: read back, it would be another program")
    return header.decode()


def load(
    path: str | os.PathLike[str], *, allow_nonfinite: bool = False, limits: Limits = LIMITS
) -> tuple[Program, Params]:
    """Read what `save` wrote. Safe on files from anywhere: no code runs, sizes are checked first.

    Args:
        allow_nonfinite: accept parameters that are infinite or NaN.
        limits: what a file may ask for.

    Raises:
        LoadError: naming the file and what is wrong with it.
        InputError: ``limits`` are none.
    """
    if not isinstance(limits, Limits):
        raise InputError(f"limits={limits!r}: give a snnhw.ir.Limits, such as Limits(file=1 << 20)")
    name = os.fspath(path)
    try:
        data = read_bytes(Path(name), limits.file)
        program = from_json(_header(data, limits), limits)
        require_valid(program)
        params = _arrays(data)
        check_params(program, params, allow_nonfinite=allow_nonfinite)
        params = {key: params[key] for key in program.params()}  # safetensors gives them in any order
    except (LoadError, ProgramError) as error:
        raise LoadError(f"cannot load '{name}': {error}") from error
    return program, params


def _header(data: bytes, limits: Limits) -> Any:
    size = int.from_bytes(data[:8], "little") if len(data) >= 8 else -1
    if not 0 <= size <= min(limits.header, len(data) - 8):
        raise LoadError("it is no safetensors file, or its header is cut off or too large")
    try:
        outer = msgspec.json.decode(data[8 : 8 + size])
        return msgspec.json.decode(outer["__metadata__"][KEY])
    except (msgspec.DecodeError, KeyError, TypeError, UnicodeDecodeError, RecursionError) as error:
        raise LoadError("its header holds no snnhw program; was it written by snnhw.save?") from error


def _arrays(data: bytes) -> Params:
    try:
        return load_tensors(data)
    except (SafetensorError, KeyError, ValueError) as error:  # dtypes and ranks that NumPy lacks
        raise LoadError(f"its tensors cannot be read: {error}") from error


def read_bytes(path: Path, most: int, option: str = "") -> bytes:
    """All of a regular file, from anywhere.

    Args:
        most: how many bytes may be read; option: that sets it, for the message.

    Raises:
        LoadError: it cannot be read, holds more, or is a pipe or a device.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # a pipe or a device would be read for ever
            raise LoadError("it is not a regular file")
        if found.st_size > most:
            hint = f" ({option}=)" if option else ""
            raise LoadError(f"it holds {found.st_size} bytes; at most {most} are read{hint}")
        with path.open("rb") as file:
            return file.read(found.st_size)
    except OSError as error:
        raise LoadError(error.strerror or str(error)) from error
