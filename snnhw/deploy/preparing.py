"""A network as a chip computes it, but in floats, to be trained further."""

from __future__ import annotations

from dataclasses import replace

from snnhw.deploy.deploying import deploy
from snnhw.deploy.floats import float_program
from snnhw.ir import Params, Program
from snnhw.plugin import Arrays
from snnhw.target import ChipTarget

__all__ = ["prepared"]


def prepared(
    program: Program, params: Params, target: ChipTarget, data: Arrays, *, allow_shifted: bool = False
) -> tuple[Program, Params]:
    """The program as the chip computes it, with weights that are trained straight through their rounding.

    Args:
        data: input name -> spikes ``[T, B, ...]``, like those in use: scales follow from them.

    Raises:
        ExportError: the chip cannot compute it, or it does not fit; every reason.
        InputError: the data are no spikes, or do not fit the network.
    """
    network = deploy(program, params, target, data, allow_shifted=allow_shifted).quantised.network
    found, values = float_program(network, target.trained())
    weights = frozenset(f"{each.name}.weight" for each in network.projections)
    return replace(found, trainable=weights), values
