"""A network as a chip computes it, but in floats, to be trained further."""

from __future__ import annotations

from dataclasses import replace

from snnhw.deploy.delays import delayed
from snnhw.deploy.floats import float_program
from snnhw.deploy.reading import read_network
from snnhw.errors import ExportError
from snnhw.ir import Params, Program, require_valid
from snnhw.target import ChipTarget

__all__ = ["prepared"]


def prepared(
    program: Program, params: Params, target: ChipTarget, *, allow_shifted: bool = False
) -> tuple[Program, Params]:
    """The program with the chip's delays, its decays and its number of spikes a step; weights are trainable.

    Raises:
        ExportError: the chip cannot compute it; every reason.
    """
    require_valid(program)
    network = read_network(program, params)
    problems = target.problems(network)
    if problems:
        raise ExportError(problems)
    timed = target.on_grid(delayed(network, target, allow=allow_shifted).network)
    found, values = float_program(timed)
    weights = frozenset(f"{each.name}.weight" for each in timed.projections)
    return replace(found, trainable=weights), values
