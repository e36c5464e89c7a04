"""The network that a run's checkpoint is of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from snnhw.cli.train import config as configs
from snnhw.errors import InputError, LoadError

if TYPE_CHECKING:
    from snnhw.ir import Params, Program

__all__ = ["SUFFIX", "network_of"]

SUFFIX: Final = ".safetensors"
"""Ending of checkpoints."""


def network_of(checkpoint: Path, structure: Path | None = None) -> tuple[Program, Params]:
    """Program and parameters.

    Args:
        structure: a file that holds the same program with other parameters; None: the config beside the
            checkpoint, which `snnhw train` puts there, says how the network is made.

    Raises:
        LoadError: it is no checkpoint, or cannot be read.
        InputError: it is of another network, or nothing says of which.
    """
    from snnhw import api
    from snnhw.ir import check_params, identity
    from snnhw.session.checkpoint import read_checkpoint
    from snnhw.session.reading import about, parted

    parts = parted(read_checkpoint(checkpoint).run)
    config = checkpoint.parent / configs.COPY
    if structure is not None:
        program, _ = api.load(structure)
    elif config.is_file():
        program = _described(config)
    else:
        raise InputError(
            f"'{checkpoint}' holds parameters alone, and no {configs.COPY} is beside it; say whose they are "
            "by --network FILE.snn"
        )
    if about(parts)["program"] != identity(replace(program, trainable=frozenset())):
        raise InputError(f"'{checkpoint}' is of another network than '{structure or config}'")
    params = {**parts["param"]}
    try:
        check_params(program, params)
    except ValueError as error:
        raise LoadError(f"cannot load '{checkpoint}': {error}") from error
    return program, params


def _described(config: Path) -> Program:
    from snnhw import api
    from snnhw.cli.train import parts

    found = configs.read(config)
    beside = Path(str(found.beside))
    sample, _ = parts.first_step(parts.batches(beside, found.data, "data"), static=found.static)
    program, *_ = api.taken(parts.network(beside, found.network), sample, found.static)
    return program if found.dt is None else replace(program, time=replace(program.time, dt=found.dt))
