"""Inputs for somebody else's network: at random, or from a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from snnhw.conformance.case import Array
from snnhw.errors import InputError
from snnhw.ir import Input, Program

__all__ = ["random_inputs", "read_inputs"]


def random_inputs(program: Program, *, time_steps: int, batch: int, seed: int = 0) -> dict[str, Array]:
    """Random numbers between 0 and 1 for every input, float32: ``[T, B, ...]``, static: ``[B, ...]``."""
    generator = np.random.default_rng(seed)
    found: dict[str, Array] = {}
    for name in program.named(Input):
        op = program.nodes[name]
        assert isinstance(op, Input)
        lead = (batch,) if name in program.time.static_inputs else (time_steps, batch)
        found[name] = generator.random((*lead, *op.shape), np.float32)
    return found


def read_inputs(path: Path, program: Program) -> dict[str, Array]:
    """Inputs from a file: ``.npz`` and ``.safetensors`` hold them by name, ``.npy`` the only one.

    Raises:
        InputError: an ending that is not one of these, or a file that is not what its ending says.
    """
    if path.suffix not in _READ:
        raise InputError(f"'{path}': inputs are read from {', '.join(_READ)}")
    try:
        return _READ[path.suffix](path, program.named(Input))
    except (ValueError, EOFError) as error:
        raise InputError(f"'{path}' cannot be read: {error}") from error


def _npz(path: Path, _: Sequence[str]) -> dict[str, Array]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _npy(path: Path, names: Sequence[str]) -> dict[str, Array]:
    if len(names) != 1:
        raise InputError(f"'{path}' holds one array; this network has the inputs {', '.join(names)}")
    return {names[0]: np.load(path, allow_pickle=False)}


def _safetensors(path: Path, _: Sequence[str]) -> dict[str, Array]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return dict(load_file(path))
    except SafetensorError as error:
        raise ValueError(str(error)) from error


_READ: Final[Mapping[str, Callable[[Path, Sequence[str]], dict[str, Array]]]] = {
    ".npz": _npz,
    ".npy": _npy,
    ".safetensors": _safetensors,
}
"""Ending -> how such a file is read."""
