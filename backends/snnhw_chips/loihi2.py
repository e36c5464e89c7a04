"""Loihi 2, as the fixed-point models of lava-nc 0.10.0 compute it.

    a  = W s(t - 1)                                       a projection, one step late, shifted by its exponent
    u' = toward_zero(u (4096 - (du + 1)) / 4096) + 64 a         beyond 2^23 it wraps, once
    v' = clip(toward_zero(v (4096 - dv) / 4096) + u' + b)       to +-(2^23 - 1)
    it fires where v' > 64 vth, and v' = 0

Source: lava-nc 0.10.0, ``lava.proc.lif.models`` and ``lava.proc.dense.models``, with the tag ``fixed_pt``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from snnhw.errors import ExportError
from snnhw.plugin import INTERFACE, Arrays, Probe
from snnhw.target import (
    Array,
    Calibration,
    ChipNetwork,
    Job,
    Limit,
    Population,
    Projection,
    Quantised,
    Use,
    WeightGrid,
)
from snnhw_chips.loihi_program import HALF, integer_program, vendor_arrays
from snnhw_chips.processes import Simulator

if TYPE_CHECKING:
    from snnhw.ir import NeuronModel

__all__ = ["Loihi2"]

LAVA: Final = "lava-nc 0.10.0"
WEIGHTS: Final = {"mixed": (-256, 254), "excitatory": (0, 255), "inhibitory": (-255, 0)}
"""Signs of a projection -> its smallest and largest weight; of mixed signs the lowest bit is dropped."""

LIMITS: Final = {
    "weight": Limit("weight", 256, "of -256 to 254 where signs are mixed, else of 255", LAVA, checked=False),
    "threshold": Limit("threshold", 131_071, "vth, 17 bits", LAVA, checked=False),
    "bias": Limit("bias", 4095 << 7, "13 bits and an exponent up to 7", LAVA, checked=False),
    "state": Limit(
        "state", HALF - 1, "absolute value of a current or membrane, 24 bits", LAVA, checked=False
    ),
    "input": Limit("spikes of an input", 1, "in a step", LAVA, checked=False),
    "neurons": Limit(
        "neurons", 128 * 1024, "128 cores of 1024, published for Loihi 1", "sanafe 2.2.9", False
    ),
}
WORKER: Final = Path(__file__).with_name("workers") / "load_lava.py"
SIMULATOR: Final = Simulator(
    "lava-nc",
    "lava",
    "SNNHW_LAVA_PYTHON",
    WORKER,
    "in a virtual environment of its own: pip install 'numpy<2' scipy networkx asteval && pip install "
    "--no-deps --ignore-requires-python lava-nc==0.10.0",
)


class Loihi2:
    """See `snnhw.target.ChipTarget`."""

    name = "loihi2"
    interface = INTERFACE
    label = f"simulated, bit-true to {LAVA}"
    reset: Literal["zero"] = "zero"
    limits = tuple(LIMITS.values())

    def delay(self, network: ChipNetwork, projection: Projection) -> int:
        """Every projection takes one step."""
        return 1

    def problems(self, network: ChipNetwork) -> tuple[str, ...]:
        found = []
        for name, cells in network.populations.items():
            if cells.reset != "zero":
                found.append(
                    f"{name}: it subtracts its threshold; loihi2 resets to 0: reset_mechanism='zero'"
                )
            if cells.most > 1:
                found.append(f"{name}: it fires up to {cells.most} times a step; loihi2's neurons fire once")
            for what in ("alpha", "beta"):
                decay = getattr(cells, what)
                if np.any((decay < 0) | (decay > 1)):
                    found.append(f"{name}: {what} is {decay[(decay < 0) | (decay > 1)][0]:g}; give 0 to 1")
        return tuple(found)

    def trained(self) -> NeuronModel | None:
        """Floats with its parameters: it rounds states so finely that in small networks no spike moves."""
        return None

    def quantise(self, network: ChipNetwork, calibration: Calibration) -> Quantised:
        problems: list[str] = []
        weights: dict[str, Array] = {}
        cells: dict[str, dict[str, Array]] = {}
        exponents: dict[str, int] = {}
        rows: dict[str, dict[str, str]] = {}
        floats: dict[str, Population] = {}
        projections: list[Projection] = []
        used: dict[str, list[tuple[float, str]]] = {name: [] for name in LIMITS}
        for name, population in network.populations.items():
            into = network.into(name)
            grids = _grids(into)
            scale = float(min((grid.scale.min() for grid in grids.values()), default=1.0))
            whole = {each.name: grids[each.name].whole(each.weight) for each in into}
            shift, made = _cells(population, scale, calibration, name)
            weights |= whole
            cells[name] = made
            exponents |= {each.name: shift for each in into}
            unit = scale * 2.0**shift * 64
            floats[name] = Population(
                name,
                alpha=1 - (made["du"] + 1) / 4096,
                beta=1 - made["dv"] / 4096,
                threshold=64 * made["vth"] / unit,
                bias=made["bias"] / unit,
                reset="zero",
                unit=np.full(population.size, unit),
            )
            projections += [replace(p, weight=grids[p.name].on(p.weight), grid=grids[p.name]) for p in into]
            peak = max(float(calibration.u[name].max()), float(calibration.v[name].max())) * unit
            used["weight"] += [(float(np.abs(whole[p.name]).max(initial=0)), p.name) for p in into]
            used["threshold"].append((float(made["vth"].max()), name))
            used["bias"].append((float(np.abs(made["bias"]).max()), name))
            used["state"].append((peak, name))
            rows[name] = _row(population, floats[name], into, whole, scale=scale, shift=shift, peak=peak)
        used["input"] += [(calibration.spikes[name], name) for name in network.inputs]
        used["neurons"].append((float(sum(p.size for p in network.populations.values())), ""))
        uses = tuple(Use(LIMITS[key], *max(found, default=(0.0, ""))) for key, found in used.items())
        problems += [
            f"{use.node or 'the network'}: {use.limit.name} comes to {use.used:,.0f}, but there is "
            f"{use.limit.value:,.0f} ({use.limit.unit}; {use.limit.source})"
            for use in uses
            if not use.fits
        ]
        if problems:
            raise ExportError(problems, "fewer or smaller neurons, or other thresholds; see docs/chips.md")
        on_grid = ChipNetwork(network.inputs, floats, tuple(projections), network.outputs)
        program, params = integer_program(network, weights, cells, exponents)
        return Quantised(
            program=program,
            params=params,
            network=on_grid,
            vendor=vendor_arrays(network, weights, cells, exponents),
            uses=uses,
            rows=rows,
            lost=network.notes,
            ports={f"{name}.{ours}": f"{name}.{theirs}" for name in cells for ours, theirs in PORTS.items()},
        )

    def probe(self) -> Probe:
        return SIMULATOR.probe()

    def simulate(self, jobs: Sequence[Job]) -> list[Arrays]:
        return SIMULATOR.run(jobs)

    def loader(self) -> tuple[str, str]:
        return "load_lava.py", WORKER.read_text()


PORTS: Final = {"u": "u", "v": "v", "spk": "s"}


def _grids(into: tuple[Projection, ...]) -> dict[str, WeightGrid]:
    """By projection: one scale for all that arrives at a population, so that its sums are in one unit."""
    if all(each.grid for each in into):
        return {each.name: each.grid for each in into if each.grid}
    scales = []
    for each in into:
        low, high = WEIGHTS[_signs(each.weight)]
        ends = ((low, each.weight.min()), (high, each.weight.max()))
        scales += [bound / extreme for bound, extreme in ends if bound * extreme > 0]
    scale = np.full(len(into[0].weight) if into else 0, min(scales, default=1.0))
    return {each.name: WeightGrid(scale, *WEIGHTS[_signs(each.weight)], _step(each.weight)) for each in into}


def _step(weight: Array) -> int:
    return 2 if _signs(weight) == "mixed" else 1


def _signs(weight: Array) -> str:
    if np.all(weight >= 0):
        return "excitatory"
    return "inhibitory" if np.all(weight <= 0) else "mixed"


def _cells(
    population: Population, scale: float, calibration: Calibration, name: str
) -> tuple[int, dict[str, Array]]:
    """The largest exponent up to 7 for which states, threshold and bias fit, and the constants there: more of
    it makes the rounding of decays smaller."""
    for shift in range(7, -1, -1):
        unit = scale * 2.0**shift
        vth = np.rint(population.threshold * unit).astype(np.int64)
        bias = _bias(population.bias * unit * 64)
        peak = max(calibration.u[name].max(), calibration.v[name].max()) * unit * 64
        fits = peak < HEADROOM * HALF and vth.max() <= LIMITS["threshold"].value
        if fits and np.abs(bias).max() <= LIMITS["bias"].value:
            break
    return shift, {**_decays(population), "vth": vth, "bias": bias}


def _decays(cells: Population) -> dict[str, Array]:
    """Of 4096; that of the current loses one more than it says."""
    du = np.clip(np.rint(4096 * (1 - cells.alpha)) - 1, 0, 4095).astype(np.int64)
    return {"du": du, "dv": np.clip(np.rint(4096 * (1 - cells.beta)), 0, 4095).astype(np.int64)}


HEADROOM: Final = 0.5
"""The share of a state's range that calibration data may fill: other data may go further."""


def _bias(wanted: Array) -> Array:
    """The nearest that 13 bits and an exponent from 0 to 7, the same for all, can say."""
    exponent = max(0, int(np.ceil(np.log2(max(float(np.abs(wanted).max()), 1.0) / 4095))))
    found: Array = (np.rint(wanted / 2**exponent) * 2**exponent).astype(np.int64)
    return found


def _row(
    asked: Population,
    made: Population,
    into: tuple[Projection, ...],
    whole: Mapping[str, Array],
    *,
    scale: float,
    shift: int,
    peak: float,
) -> dict[str, str]:
    largest = max((float(np.abs(w).max(initial=0)) for w in whole.values()), default=0.0)
    error = max((float(np.abs(whole[p.name] / scale - p.weight).max()) for p in into), default=0.0)
    off = (asked.alpha - made.alpha, asked.beta - made.beta)
    return {
        "neurons": str(asked.size),
        "scale": f"{scale:.4g} x 2^{shift}",
        "weight bits": f"{np.log2(largest + 1):.1f}",
        "weight error": f"{error:.2g}",
        "decay error": f"{max(np.abs(decays).max() for decays in off):.2g}",
        "headroom": f"{np.log2(HALF / max(peak, 1.0)):.1f} bits",
    }
