"""How far a backend was from what it was held to, in numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from snnhw.ir import Neuron, Program
from snnhw.parity.arrays import Array
from snnhw.parity.comparison import Parity
from snnhw.parity.differ import same_result
from snnhw.parity.result import Disagreement, Measured
from snnhw.plugin import Result

__all__ = ["every_bit", "measuring", "of_parity", "of_run", "relative", "worst_slope"]


@contextmanager
def measuring(measured: Measured) -> Iterator[None]:
    """A `Disagreement` raised within carries what was measured before it."""
    try:
        yield
    except Disagreement as error:
        error.measured = measured
        raise


def of_parity(parity: Parity) -> Measured:
    """What a comparison with error bounds measured."""
    return Measured(parity.max_membrane_error, parity.spikes_compared, parity.spike_mismatches)


def of_run(program: Program, got: Mapping[str, Array], wanted: Mapping[str, Array]) -> Measured:
    """What a comparison in every bit measured; ports of another shape than wanted count as infinitely far."""
    spikes = flips = 0
    errors = []
    for name in program.named(Neuron):
        for port in (f"{name}.{port}" for port in program.nodes[name].out_ports):
            if port not in got or port not in wanted:
                continue
            target = np.asarray(wanted[port], got[port].dtype)
            alike = got[port].shape == target.shape
            if port.endswith(".spk"):
                spikes += target.size
                flips += int(np.count_nonzero(got[port] != target)) if alike else target.size
            else:
                errors.append(_farthest(got[port], target) if alike else np.inf)
    return Measured(max(errors, default=None), spikes, flips)


def every_bit(program: Program, found: Result, wanted: Result) -> Measured:
    """What was measured of two runs that are equal in every bit.

    Raises:
        Disagreement: they are not.
    """
    measured = of_run(program, found.recordings, wanted.recordings)
    with measuring(measured):
        same_result(found, wanted)
    return measured


def _farthest(got: Array, wanted: Array) -> float:
    with np.errstate(invalid="ignore"):  # infinity less itself
        apart = np.where(got == wanted, 0.0, np.abs(got.astype(np.float64) - wanted))
    return float(np.max(apart, initial=0.0))


def worst_slope(seen: Mapping[str, Array], wanted: Mapping[str, Array]) -> float | None:
    """The largest error of a gradient, relative to the largest entry of its array."""
    errors = [
        relative(seen[key], slope, np.max(np.abs(slope))) for key, slope in wanted.items() if key in seen
    ]
    return max(errors, default=None)


def relative(got: object, wanted: Array, size: float) -> float:
    """The largest distance, in units of a size; of something that has none, in its own units."""
    apart = np.max(np.abs(np.asarray(got, np.float64) - wanted), initial=0.0)
    return float(apart / size) if size else float(apart)
