"""Inputs for somebody else's network: at random, or from a file."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from math import inf, prod
from pathlib import Path
from typing import Final
from zipfile import BadZipFile

import numpy as np

from snnhw.arrays import hosts
from snnhw.errors import InputError
from snnhw.ir import Input, Neuron, Program, infer_shapes
from snnhw.parity.arrays import Array

__all__ = ["random_inputs", "read_inputs"]


def random_inputs(program: Program, *, time_steps: int, batch: int, seed: int = 0) -> dict[str, Array]:
    """Random numbers between 0 and 1 for every input, float32: ``[T, B, ...]``, static: ``[B, ...]``.

    Raises:
        InputError: a run of so many steps and samples does not fit this machine's memory.
    """
    _check_room(program, time_steps, batch)
    generator = np.random.default_rng(seed)
    found: dict[str, Array] = {}
    for name in program.named(Input):
        op = program.nodes[name]
        assert isinstance(op, Input)
        lead = (batch,) if name in program.time.static_inputs else (time_steps, batch)
        found[name] = generator.random((*lead, *op.shape), np.float32)
    return found


def _check_room(program: Program, time_steps: int, batch: int) -> None:
    """Refuse what could only end with the system ending the process."""
    shapes = infer_shapes(program).shapes
    ports = [f"{name}.{port}" for name, op in program.nodes.items() for port in op.out_ports]
    kept = [port for port in ports if isinstance(program.nodes[port.rpartition(".")[0]], Input | Neuron)]
    needed = 4 * time_steps * batch * sum(prod(shapes[port]) for port in kept)
    if needed > memory():
        raise InputError(
            f"{time_steps} steps of {batch} samples take {needed / 1e9:,.0f} GB for inputs and neurons "
            f"alone, and this machine has {memory() / 1e9:,.0f} GB; give fewer steps or a smaller batch"
        )


def memory() -> float:
    """Bytes of this machine's memory; infinite where it does not say."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):
        return inf


def read_inputs(path: Path, program: Program) -> dict[str, Array]:
    """Inputs from a file: ``.npz`` and ``.safetensors`` hold them by name, ``.npy`` the only one.

    Raises:
        InputError: an ending that is not one of these, a file that is not what its ending says, or arrays of
            something else than real numbers.
    """
    if path.suffix not in _READ:
        raise InputError(f"'{path}': inputs are read from {', '.join(_READ)}")
    try:
        return hosts("input", _READ[path.suffix](path, program.named(Input)))
    except (ValueError, EOFError, BadZipFile, zlib.error) as error:
        raise InputError(f"'{path}' cannot be read: {error}") from error


def _npz(path: Path, _: Sequence[str]) -> dict[str, Array]:
    with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
        found = {name: file[name] for name in file.files}
    strange = [name for name, array in found.items() if not isinstance(array, np.ndarray)]
    if strange:  # NumPy gives the bytes of what was not written by it
        raise ValueError(f"'{strange[0]}' in it is no array")
    return found


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
