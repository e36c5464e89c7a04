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
from snnhw.conformance.bounded import Bounded
from snnhw.conformance.case import Array, Arrays
from snnhw.conformance.differ import Disagreement, hosts
from snnhw.conformance.walk import Moment, Spikes, walk
from snnhw.ir import Input, Neuron, Params, Program
from snnhw.plugin import Backend

__all__ = ["Mismatch", "Parity", "hold", "neuron_ports", "parity"]


@dataclass(frozen=True)
class Mismatch:
    """One value that is not the reference's.

    Attributes:
        port: where; step, sample and index: when and which.
        got: what the backend returned; wanted: what the reference gives.
        bound: how far apart the two may be.
    """

    port: str
    step: int
    sample: int
    index: tuple[int, ...]
    got: float
    wanted: float
    bound: float

    def __str__(self) -> str:
        which = "".join(f", {axis}" for axis in self.index)
        return (
            f"{self.port} at [t={self.step}, b={self.sample}{which}] is {self.got!r}, not {self.wanted!r}, "
            f"where rounding explains {self.bound:.2g}"
        )


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
    name = program.named(Input)[0]
    batch = arrays[name].shape[0 if name in program.time.static_inputs else 1]
    job = make_job(
        plugin, program, time_steps=time_steps, batch=batch, record=ports, options=options or {}
    )
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
        Disagreement: a recording has the wrong shape.
    """
    coarsest = max((array.dtype for array in observed.values()), key=lambda dtype: np.finfo(dtype).eps)
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
        _judge(moment, port, array, step, time_steps)
        for step, moment in enumerate(moments)
        for port, array in observed.items()
    ]
    return Parity(
        spikes_compared=sum(each.spikes for each in found),
        spike_mismatches=sum(each.mismatches for each in found),
        excused_near_threshold=sum(each.excused for each in found),
        unexplained_mismatches=sum(each.mismatches - each.excused for each in found),
        membranes_outside=sum(each.outside for each in found),
        max_membrane_error=_largest_while_equal(found, time_steps),
        first=next((each.first for each in found if each.first), None),
    )


@dataclass(frozen=True, eq=False)
class _Judged:
    """One port at one step.

    Attributes:
        flipped: for each sample, whether a spike differs.
        error: for each sample, the largest distance of a state from the reference.
    """

    step: int
    flipped: Array
    error: Array
    spikes: int = 0
    mismatches: int = 0
    excused: int = 0
    outside: int = 0
    first: Mismatch | None = None


def _judge(moment: Moment, port: str, observed: Array, step: int, time_steps: int) -> _Judged:
    wanted = moment.ports[port].value
    if observed.shape != (time_steps, *wanted.shape):
        raise Disagreement(f"{port} has shape {list(observed.shape)}, not {[time_steps, *wanted.shape]}")
    node, _, name = port.rpartition(".")
    if name == "spk" and node in moment.spikes:
        return _judge_spikes(moment.spikes[node], port, observed[step], step)
    return _judge_values(moment.ports[port], port, observed[step], step)


def _judge_spikes(spikes: Spikes, port: str, got: Array, step: int) -> _Judged:
    """A spike is one of two values, so it equals the reference's or it does not."""
    differs = got != spikes.value.astype(got.dtype)
    excused = differs & spikes.open & (got == spikes.other.astype(got.dtype))
    return _Judged(
        step=step,
        flipped=_by_sample(differs).any(axis=1),
        error=np.zeros(len(got)),
        spikes=got.size,
        mismatches=int(differs.sum()),
        excused=int(excused.sum()),
        first=_first(port, step, differs & ~excused, got, spikes.value, 0.0),
    )


def _judge_values(reference: Bounded, port: str, got: Array, step: int) -> _Judged:
    wanted, bound = reference.value, reference.error
    with np.errstate(invalid="ignore"):  # infinity less itself
        error = np.where(got == wanted, 0.0, np.abs(got.astype(np.float64) - wanted))
    outside = ~((error <= bound) | (np.isnan(got) & np.isnan(wanted)))
    return _Judged(
        step=step,
        flipped=np.zeros(len(got), bool),
        error=_by_sample(error).max(axis=1),
        outside=int(outside.sum()),
        first=_first(port, step, outside, got, wanted, bound),
    )


def _by_sample(array: Array) -> Array:
    return array.reshape(len(array), -1)


def _first(
    port: str, step: int, wrong: Array, got: Array, wanted: Array, bound: Array | float
) -> Mismatch | None:
    if not wrong.any():
        return None
    sample, *index = (int(axis) for axis in np.argwhere(wrong)[0])
    where = (sample, *index)
    return Mismatch(
        port,
        step,
        sample,
        tuple(index),
        float(got[where]),
        float(wanted[where]),
        float(np.broadcast_to(bound, wrong.shape)[where]),
    )


def _largest_while_equal(found: list[_Judged], time_steps: int) -> float:
    """The largest error of a state before the first differing spike of its sample."""
    flipped = np.stack([_over_ports(found, step, "flipped") for step in range(time_steps)])
    error = np.stack([_over_ports(found, step, "error") for step in range(time_steps)])
    equal = ~np.logical_or.accumulate(flipped)
    return float(np.max(error, where=equal, initial=0.0))


def _over_ports(found: list[_Judged], step: int, what: str) -> Array:
    return np.max([getattr(each, what) for each in found if each.step == step], axis=0)
