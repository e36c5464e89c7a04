"""All of it: a network, a target and sample data to integers that were run once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snnhw import registry
from snnhw.deploy.calibrating import calibrate, spike_inputs
from snnhw.deploy.delays import Delayed, delayed
from snnhw.deploy.reading import read_network
from snnhw.errors import ExportError
from snnhw.ir import Params, Program, require_valid
from snnhw.ir.inputs import check_inputs
from snnhw.plugin import TARGETS, Arrays
from snnhw.reference import Execution, execute
from snnhw.target import ChipTarget, Quantised

__all__ = ["Deployed", "deploy", "target_of"]


@dataclass(frozen=True, eq=False)
class Deployed:
    """A network on a chip.

    Attributes:
        target: the chip.
        timed: the float network with the chip's delays, which the integers are held to.
        quantised: its integers.
        run: what the integers give on the sample data.
        peaks: state of the program -> its largest absolute value there.
        full: state -> how often it stood at an end of its bits, where it saturates.
    """

    target: ChipTarget
    timed: Delayed
    quantised: Quantised
    run: Execution
    peaks: Mapping[str, int]
    full: Mapping[str, int]


def target_of(name: str) -> ChipTarget:
    """An installed target.

    Raises:
        UnknownPlugin: there is none of that name.
    """
    found: ChipTarget = registry.load(TARGETS, name)
    return found


def deploy(
    program: Program, params: Params, target: ChipTarget, data: Arrays, *, allow_shifted: bool = False
) -> Deployed:
    """Integers for a network, and a run of them on the sample data.

    Args:
        data: input name -> spikes ``[T, B, ...]``, like those in use.
        allow_shifted: accept that ways of different delay shift spikes against each other.

    Raises:
        ExportError: the chip cannot compute it, or it does not fit; every reason.
        InputError: the data are no spikes, or do not fit the network.
    """
    require_valid(program)
    network = read_network(program, params)
    problems = target.problems(network)
    if problems:
        raise ExportError(problems)
    timed = delayed(network, target, allow=allow_shifted)
    given = {name: np.asarray(array) for name, array in data.items()}
    check_inputs(program, {name: array.shape for name, array in given.items()})
    most = next(int(limit.value) for limit in target.limits if limit.name == "spikes of an input")
    spike_inputs(given, most)
    quantised = target.quantise(timed.network, calibrate(timed.network, given))
    require_valid(quantised.program)
    whole = {name: array.astype(np.int64) for name, array in given.items()}
    run = execute(quantised.program, quantised.params, whole, record=list(quantised.ports))
    states = {port: run.recordings[port] for port in quantised.ports if not port.endswith(".spk")}
    forms = quantised.program.formats
    full = {port: int(((x <= forms[port].low) | (x >= forms[port].high)).sum()) for port, x in states.items()}
    return Deployed(target, timed, quantised, run, {p: int(np.abs(x).max()) for p, x in states.items()}, full)
