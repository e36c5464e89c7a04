"""Parity: what a backend returned, held to the float64 reference, spike by spike.

A real network on two precisions flips a few spikes near threshold; that is no error, and it is not
hidden either. A differing spike is *excused* where the reference lies within the margin that rounding
allows, given the spikes that the backend itself produced before; any other is unexplained.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnhw.ir import Clock, Neuron, Params, Program, infer_shapes
from snnhw.lowering import lower, make_job
from snnhw.parity.arrays import Arrays, batch_of, hosts
from snnhw.parity.result import Disagreement
from snnhw.parity.rounding.bounded import Bounded
from snnhw.parity.rounding.firing import Spikes
from snnhw.parity.rounding.walk import Moment, walk
from snnhw.parity.tally import Judged, Mismatch, judge_port, largest_while_equal
from snnhw.plugin import Backend
from snnhw.reference.unroll import schedule

__all__ = ["Parity", "compared", "hold", "is_reference", "neuron_ports", "parity", "summary"]


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
            first differing spike; None where spikes differ from the first step on.
        first: the first unexplained difference, in the order of time; None when there is none.
        spikes_fired: how many of the spikes compared are not 0. Where it is 0, little has been compared.
        parting: the first spike that differs, explained or not; None when all are equal.
        by_rule: how many of the unexplained spikes a rule explains that is known of whoever gave them.
        reach: how far from its threshold rounding can turn a neuron round, at most.
    """

    spikes_compared: int = 0
    spike_mismatches: int = 0
    excused_near_threshold: int = 0
    unexplained_mismatches: int = 0
    membranes_outside: int = 0
    max_membrane_error: float | None = None
    first: Mismatch | None = None
    spikes_fired: int = 0
    parting: Mismatch | None = None
    by_rule: int = 0
    reach: float = 0.0

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
        InputError, ProgramError, Unsupported: as `snnhw.lowering.lower`.
    """
    arrays, ports = hosts(inputs), neuron_ports(program)
    batch = batch_of(program, arrays)
    job = make_job(plugin, program, time_steps=time_steps, batch=batch, record=ports, options=options or {})
    with lower(plugin, program, params, job) as executable:
        found = executable.run(inputs)
    return hold(program, params, arrays, hosts(found.recordings), time_steps=time_steps)


def is_reference(plugin: Backend, seen: Arrays) -> bool:
    """Whether what somebody returned is the reference's own, so that holding it to that would say nothing."""
    exact = all(array.dtype == np.float64 for array in seen.values())
    return plugin.capabilities().is_reference and exact


def neuron_ports(program: Program) -> tuple[str, ...]:
    """The spikes and states of every neuron, in the order in which a step computes them."""
    neurons = [name for name in schedule(program) if isinstance(program.nodes[name], Neuron)]
    return tuple(f"{name}.{port}" for name in neurons for port in program.nodes[name].out_ports)


def hold(
    program: Program,
    params: Params,
    inputs: Arrays,
    observed: Arrays,
    *,
    time_steps: int,
    state: Arrays | None = None,
    clock: Clock | None = None,
) -> Parity:
    """Compare what a backend recorded with the reference.

    Args:
        inputs: what it was given, ``[T, B, ...]``, or ``[B, ...]`` when static.
        observed: port -> what it returned, ``[T, B, ...]``. The coarsest dtype among them is taken as
            the one it computes in. Ports that are missing are not compared; without a neuron's
            spikes and states more of what follows counts as explained.
        state: what it started from; None: from rest.
        clock: of its random numbers, see `snnhw.ir.noise`; a state says itself which sequence it belongs to.

    Raises:
        Disagreement: a recording is of no port of the program, or has the wrong shape.
    """
    found = compared(program, params, inputs, observed, time_steps=time_steps, state=state, clock=clock)
    return summary(found, time_steps)


def compared(
    program: Program,
    params: Params,
    inputs: Arrays,
    observed: Arrays,
    *,
    time_steps: int,
    state: Arrays | None = None,
    clock: Clock | None = None,
    against: Arrays | None = None,
    ruled: Arrays | None = None,
) -> list[Judged]:
    """Every port at every step, held to the reference; arguments and errors are those of `hold`.

    Args:
        against: what another backend recorded, at all of these ports: it is taken in the reference's
            place, and rounding explains what it explains in either of them.
        ruled: port -> where a known rule explains a spike that differs, ``[T, B, ...]``: rounding does not.
    """
    order = {name: place for place, name in enumerate(schedule(program))}
    _check_shapes(program, observed, (time_steps, batch_of(program, inputs)))
    ports = sorted(observed, key=lambda port: order[port.rpartition(".")[0]])

    def moments(seen: Arrays) -> Iterator[Moment]:
        return walk(
            program,
            params,
            inputs,
            time_steps=time_steps,
            dtype=_coarsest(seen),
            state=state,
            observed=seen,
            clock=clock,
        )

    wanted = moments(observed)
    if against is not None:
        _check_shapes(program, against, (time_steps, batch_of(program, inputs)))
        both = zip(wanted, moments(against), strict=True)
        wanted = (_between(*pair, against, step) for step, pair in enumerate(both))
    rules = ruled or {}
    return [
        judge_port(moment, port, observed[port], at, rules.get(port))
        for at, moment in enumerate(wanted)
        for port in ports
    ]


def summary(found: Sequence[Judged], time_steps: int, node: str | None = None) -> Parity:
    """What was found, in sum.

    Args:
        found: all ports of the first step, of the second, and so on.
        node: the layer to sum up; None: all of them.
    """
    mine = [each for each in found if node in (None, each.node)]
    return Parity(
        spikes_compared=sum(each.spikes for each in mine),
        spike_mismatches=sum(each.mismatches for each in mine),
        excused_near_threshold=sum(each.excused for each in mine),
        unexplained_mismatches=sum(each.mismatches - each.excused for each in mine),
        membranes_outside=sum(each.outside for each in mine),
        max_membrane_error=largest_while_equal(found, time_steps, node),
        first=next((each.first for each in mine if each.first), None),
        spikes_fired=sum(each.fired for each in mine),
        parting=next((each.flip for each in mine if each.flip), None),
        by_rule=sum(each.ruled for each in mine),
        reach=max((each.reach for each in mine), default=0.0),
    )


def _coarsest(observed: Arrays) -> np.dtype[Any]:
    dtypes = [array.dtype for array in observed.values()] or [np.dtype(np.float32)]
    return max(dtypes, key=lambda dtype: np.finfo(dtype).eps)


def _between(one: Moment, other: Moment, seen: Arrays, step: int) -> Moment:
    """What the first backend may give, when the second, ``seen``, is taken for right."""
    ports, spikes = {}, {}
    for port, array in seen.items():
        node, _, name = port.rpartition(".")
        here = np.asarray(array[step], np.float64)
        if name == "spk" and node in one.spikes:
            mine, theirs = one.spikes[node], other.spikes[node]
            reach = np.maximum(mine.z.error, np.where(theirs.open, np.abs(mine.z.value), 0.0))
            spikes[node] = Spikes(here, mine.value + mine.other - here, Bounded(mine.z.value, reach))
        else:
            left, right = one.ports[port], other.ports[port]
            apart = np.abs(left.value - right.value)  # each rounds what it is given to its own dtype
            ports[port] = Bounded(here, left.error + right.error + apart)
    return Moment(ports, spikes)


def _check_shapes(program: Program, observed: Arrays, lead: tuple[int, int]) -> None:
    known = infer_shapes(program).shapes
    for port, array in observed.items():
        if port not in known:
            raise Disagreement(f"there is no port '{port}' to compare")
        if array.shape != (*lead, *known[port]):
            raise Disagreement(f"{port} has shape {list(array.shape)}, not {[*lead, *known[port]]}")
