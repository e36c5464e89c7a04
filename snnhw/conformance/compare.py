"""Parity: what a backend returned, held to the float64 reference, spike by spike.

A real network on two precisions flips a few spikes near threshold; that is no error, and it is not
hidden either. A differing spike is *excused* where the reference lies within the margin that rounding
allows, given the spikes that the backend itself produced before; any other is unexplained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnhw.api import lower, make_job
from snnhw.conformance.case import Arrays, batch_of
from snnhw.conformance.differ import Disagreement, hosts
from snnhw.conformance.tally import Mismatch, judge_port, largest_while_equal
from snnhw.conformance.walk import walk
from snnhw.ir import Neuron, Params, Program, infer_shapes
from snnhw.plugin import Backend

__all__ = ["Mismatch", "Parity", "hold", "neuron_ports", "parity"]


@dataclass(frozen=True)
class Parity:
    """How a backend compares with the reference.

    Attributes:
        spikes_compared: number of spikes, fired or not, that were compared.
        spike_mismatches: how many differ; the sum of the next two.
        excused_near_threshold: how many of these lie within the margin that rounding allows, or follow
            from one that does.
        unexplained_mismatches: how many do not.
        membranes_outside: values of states and other ports that are further from the reference than
            rounding, and the excused spikes before them, allow.
        max_membrane_error: largest distance of a state from the reference, in each sample up to its
            first differing spike.
        first: the first unexplained difference, in the order of time; None when there is none.
    """

    spikes_compared: int = 0
    spike_mismatches: int = 0
    excused_near_threshold: int = 0
    unexplained_mismatches: int = 0
    membranes_outside: int = 0
    max_membrane_error: float = 0.0
    first: Mismatch | None = None

    @property
    def ok(self) -> bool:
        """Whether rounding explains every difference."""
        return not (self.unexplained_mismatches or self.membranes_outside)


def parity(
    plugin: Backend,
    program: Program,
    params: Params,
    inputs: Mapping[str, Any],
    *,
    time_steps: int,
    options: Mapping[str, object] | None = None,
) -> Parity:
    """Run a program on a backend and compare every neuron of it with the reference.

    Args:
        inputs: ``[T, B, ...]``, or ``[B, ...]`` when static.

    Raises:
        InputError, ProgramError, Unsupported: as `snnhw.api.lower`.
    """
    arrays, ports = hosts(inputs), neuron_ports(program)
    batch = batch_of(program, arrays)
    job = make_job(plugin, program, time_steps=time_steps, batch=batch, record=ports, options=options or {})
    with lower(plugin, program, params, job) as executable:
        found = executable.run(inputs)
    return hold(program, params, arrays, hosts(found.recordings), time_steps=time_steps)


def neuron_ports(program: Program) -> tuple[str, ...]:
    """The spikes and states of every neuron."""
    return tuple(f"{name}.{port}" for name in program.named(Neuron) for port in program.nodes[name].out_ports)


def hold(
    program: Program,
    params: Params,
    inputs: Arrays,
    observed: Arrays,
    *,
    time_steps: int,
    state: Arrays | None = None,
) -> Parity:
    """Compare what a backend recorded with the reference.

    Args:
        inputs: what it was given, ``[T, B, ...]``, or ``[B, ...]`` when static.
        observed: port -> what it returned, ``[T, B, ...]``. The coarsest dtype among them is taken as
            the one it computes in. Ports that are missing are not compared; without a neuron's
            spikes and states more of what follows counts as explained.
        state: what it started from; None: from rest.

    Raises:
        Disagreement: a recording is of no port of the program, or has the wrong shape.
    """
    _check_shapes(program, observed, (time_steps, batch_of(program, inputs)))
    dtypes = [array.dtype for array in observed.values()] or [np.dtype(np.float32)]
    coarsest = max(dtypes, key=lambda dtype: np.finfo(dtype).eps)
    moments = walk(
        program,
        params,
        inputs,
        time_steps=time_steps,
        dtype=coarsest,
        state=state,
        observed=observed,
    )
    found = [
        judge_port(moment, port, array, step)
        for step, moment in enumerate(moments)
        for port, array in observed.items()
    ]
    return Parity(
        spikes_compared=sum(each.spikes for each in found),
        spike_mismatches=sum(each.mismatches for each in found),
        excused_near_threshold=sum(each.excused for each in found),
        unexplained_mismatches=sum(each.mismatches - each.excused for each in found),
        membranes_outside=sum(each.outside for each in found),
        max_membrane_error=largest_while_equal(found, time_steps),
        first=next((each.first for each in found if each.first), None),
    )


def _check_shapes(program: Program, observed: Arrays, lead: tuple[int, int]) -> None:
    known = infer_shapes(program).shapes
    for port, array in observed.items():
        if port not in known:
            raise Disagreement(f"there is no port '{port}' to compare")
        if array.shape != (*lead, *known[port]):
            raise Disagreement(f"{port} has shape {list(array.shape)}, not {[*lead, *known[port]]}")
