"""Xylo: Audio 2, Audio 3 and IMU, as xylosim 0.1.3 computes them. One rule, three tables of limits.

    i  = sat(i + w << shift)                  for every spike, sources in order: inputs, then hidden neurons
    i' = i - dec(i, dash_syn)                 an input decays in the step in which it arrives
    v' = sat(v + sat(sat(-dec(v, dash_mem) + i') + bias))
    n  = how often the threshold goes into v', up to 31, of output neurons up to 1;    v' - n threshold

``sat`` keeps 16 bits; ``dec(x, d)`` is the floor of ``x / 2^d``, but at least 1 of a positive x. Inputs
arrive at once, spikes of hidden neurons one step late.

Source: xylosim 0.1.3, module ``v2``. Limits: rockpool 3.1.0, as it is documented and as it refuses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Final, Literal

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
)
from snnhw_chips.processes import Simulator
from snnhw_chips.xylo_program import BITS, MOST, Cells, integer_program, vendor_arrays

__all__ = ["XyloAudio2", "XyloAudio3", "XyloIMU"]

ROCKPOOL: Final = "rockpool 3.1.0"
XYLOSIM: Final = "xylosim 0.1.3"
LARGEST: Final = 2 ** (BITS - 1) - 1
HEADROOM: Final = 0.5
"""The share of a state's range that calibration data may fill: other data may go further."""

LEAST: Final = 100
"""Weights keep at least this much of 127 when a neuron's scale is made smaller for its states' sake."""

SHIFTS: Final = range(7, -1, -1)
WORKER: Final = Path(__file__).with_name("workers") / "load_xylo.py"
SIMULATOR: Final = Simulator(
    "xylosim",
    "xylosim.v2",
    "SNNHW_XYLOSIM_PYTHON",
    WORKER,
    "with a C++ compiler, in a virtual environment of its own: pip install numpy xylosim==0.1.3",
)


def _limits(hidden: int, outputs: int) -> dict[str, Limit]:
    return {
        "inputs": Limit("inputs", 16, "channels; more is a warning there", ROCKPOOL, False),
        "hidden": Limit("hidden neurons", hidden, "neurons", ROCKPOOL, True),
        "output": Limit("output neurons", outputs, "neurons", ROCKPOOL, True),
        "input": Limit("spikes of an input", 15, "in a step; more are clipped there", XYLOSIM, False),
        "weight": Limit("weight", 128, "absolute value, 8 bits", XYLOSIM, True),
        "threshold": Limit("threshold", LARGEST, "16 bits", XYLOSIM, True),
        "bias": Limit("bias", LARGEST, "16 bits", XYLOSIM, True),
        "state": Limit("state", LARGEST, "absolute value of a current or membrane, 16 bits", XYLOSIM, False),
    }


class Xylo:
    """See `snnhw.target.ChipTarget`; the class attributes say which."""

    name: ClassVar[str]
    table: ClassVar[Mapping[str, Limit]]
    interface = INTERFACE
    label = f"simulated, bit-true to {XYLOSIM} (v2)"
    reset: Literal["subtract"] = "subtract"

    @property
    def limits(self) -> tuple[Limit, ...]:
        return tuple(self.table.values())

    def delay(self, network: ChipNetwork, projection: Projection) -> int:
        """Inputs arrive at once, spikes a step late."""
        return int(projection.source not in network.inputs)

    def problems(self, network: ChipNetwork) -> tuple[str, ...]:
        ready = set(network.outputs.values())
        found = []
        for name, cells in network.populations.items():
            if cells.reset != "subtract":
                found.append(f"{name}: it is reset to 0; Xylo subtracts: reset_mechanism='subtract'")
            if np.any(cells.alpha < 0.3):
                least = cells.alpha.min()
                found.append(
                    f"{name}: its current decays to {least:.2g} a step, and Xylo's to 1/2 at least; use "
                    "Synaptic with alpha of 0.5 or more"
                )
            if np.any((cells.beta < 0.3) | (cells.beta >= 1)):
                found.append(
                    f"{name}: beta is {cells.beta.min():g} to {cells.beta.max():g}; give 0.5 to 0.99997"
                )
        for each in network.projections:
            if each.source in ready:
                found.append(
                    f"{each.name}: it leaves output neurons, {each.source}, which feed nothing on Xylo"
                )
            if each.target in ready and each.source in network.inputs:
                found.append(
                    f"{each.name}: inputs reach hidden neurons alone; put a layer before {each.target}"
                )
        return tuple(found)

    def on_grid(self, network: ChipNetwork) -> ChipNetwork:
        ready = network.outputs.values()
        grid = {name: _on_grid(cells, name in ready) for name, cells in network.populations.items()}
        gains = {name: _gain(network.populations[name], cells) for name, cells in grid.items()}
        scaled = tuple(replace(p, weight=gains[p.target][:, None] * p.weight) for p in network.projections)
        return replace(network, populations=grid, projections=scaled)

    def quantise(self, network: ChipNetwork, calibration: Calibration) -> Quantised:
        ready = tuple(dict.fromkeys(network.outputs.values()))
        grid = {name: _on_grid(cells, name in ready) for name, cells in network.populations.items()}
        weights = {name: _arriving(network, name, grid[name]) for name in grid}
        scales, shift = _scales(network, grid, weights, calibration)
        made: dict[str, Cells] = {}
        floats: dict[str, Population] = {}
        projections: list[Projection] = []
        rows: dict[str, dict[str, str]] = {}
        for name, asked in network.populations.items():
            own, unit = grid[name], scales[name] * 2.0**shift
            whole = {
                source: np.clip(np.rint(w * scales[name][:, None]), -128, 127).astype(np.int64)
                for source, w in weights[name].items()
            }
            made[name] = Cells(
                _dash(own.alpha),
                _dash(own.beta),
                np.rint(own.threshold * unit).astype(np.int64),
                np.rint(own.bias * unit).astype(np.int64),
                whole,
            )
            floats[name] = Population(
                name, own.alpha, own.beta, made[name].threshold / unit, made[name].bias / unit,
                "subtract", own.most,
            )  # fmt: skip
            back = own.alpha[:, None] / scales[name][:, None]
            projections += [
                Projection(f"{source}_to_{name}", source, name, back * w, int(source not in network.inputs))
                for source, w in whole.items()
            ]
            rows[name] = _row(asked, own, whole, shift, made[name])
        uses = self._uses(network, made, calibration, {n: s * 2.0**shift for n, s in scales.items()}, ready)
        problems = [
            f"{use.node or 'the network'}: {use.limit.name} come to {use.used:,.0f}, but there are "
            f"{use.limit.value:,.0f} ({use.limit.unit}; {use.limit.source})"
            for use in uses
            if not use.fits
        ]
        if problems:
            raise ExportError(problems, "fewer or smaller neurons, or other thresholds; see docs/chips.md")
        program, params = integer_program(network, made, ready, shift)
        return Quantised(
            program=program,
            params=params,
            network=ChipNetwork(network.inputs, floats, tuple(projections), network.outputs),
            vendor=vendor_arrays(network, made, ready, shift),
            uses=uses,
            rows=rows,
            lost=(*network.notes, *_lost(network, grid)),
            ports={f"{name}.{ours}": f"{name}.{theirs}" for name in made for ours, theirs in PORTS.items()},
        )

    def _uses(
        self,
        network: ChipNetwork,
        made: Mapping[str, Cells],
        calibration: Calibration,
        units: Mapping[str, Array],
        ready: tuple[str, ...],
    ) -> tuple[Use, ...]:
        sizes = {name: len(cells.threshold) for name, cells in made.items()}
        totals = {
            "inputs": float(sum(network.width(name) for name in network.inputs)),
            "hidden": float(sum(n for name, n in sizes.items() if name not in ready)),
            "output": float(sum(n for name, n in sizes.items() if name in ready)),
        }
        found: dict[str, list[tuple[float, str]]] = {key: [(value, "")] for key, value in totals.items()}
        inner = [
            w for name, c in made.items() if name not in ready for s, w in c.weights.items() if s in made
        ]
        found["recurrent"] = [(float(sum(np.count_nonzero(w) for w in inner)), "")]
        found["input"] = [(calibration.spikes[name], name) for name in network.inputs]
        for name, cells in made.items():
            largest = max((float(np.abs(w).max(initial=0)) for w in cells.weights.values()), default=0.0)
            found.setdefault("weight", []).append((largest, name))
            found.setdefault("threshold", []).append((float(cells.threshold.max()), name))
            found.setdefault("bias", []).append((float(np.abs(cells.bias).max()), name))
            found.setdefault("state", []).append((float(_peaks(calibration, name, units[name]).max()), name))
        return tuple(Use(self.table[key], *max(found[key])) for key in self.table)

    def probe(self) -> Probe:
        return SIMULATOR.probe()

    def simulate(self, jobs: Sequence[Job]) -> list[Arrays]:
        return SIMULATOR.run(jobs)

    def loader(self) -> tuple[str, str]:
        return WORKER.name, WORKER.read_text()


PORTS: Final = {"i": "i", "v": "v", "spk": "s"}


def _dash(decay: Array) -> Array:
    """The power of two by which a state decays: ``1 - 2^-dash``."""
    found: Array = np.clip(np.rint(-np.log2(1 - decay)), 1, 15).astype(np.int64)
    return found


def _on_grid(cells: Population, ready: bool) -> Population:
    """Decays of the chip; the gain that they change `_arriving` gives back to what drives the neuron."""
    alpha, beta = (1 - 2.0 ** -_dash(decay) for decay in (cells.alpha, cells.beta))
    return Population(
        cells.name,
        alpha,
        beta,
        cells.threshold,
        cells.bias * (1 - beta) / (1 - cells.beta),
        "subtract",
        MOST["output" if ready else "hidden"],
    )


def _gain(asked: Population, grid: Population) -> Array:
    """By how much weights grow, so that a constant input leads to the same."""
    found: Array = (1 - grid.alpha) * (1 - grid.beta) / ((1 - asked.alpha) * (1 - asked.beta))
    return found


def _arriving(network: ChipNetwork, name: str, grid: Population) -> dict[str, Array]:
    """Source -> weights as the chip takes them, in the order in which it adds: an input enters decayed, and
    what a constant input leads to stays as it was."""
    gain = _gain(network.populations[name], grid) / grid.alpha
    found: dict[str, Array] = {}
    for source in (*network.inputs, *network.populations):
        parts = [gain[:, None] * each.weight for each in network.into(name) if each.source == source]
        if parts:
            found[source] = np.sum(parts, axis=0)
    return found


def _peaks(calibration: Calibration, name: str, unit: Array) -> Array:
    found: Array = np.maximum(calibration.u[name], calibration.v[name]) * unit
    return found


def _scales(
    network: ChipNetwork,
    grid: Mapping[str, Population],
    weights: Mapping[str, Mapping[str, Array]],
    calibration: Calibration,
) -> tuple[dict[str, Array], int]:
    """A scale for every neuron, and the largest shift for all at which states have headroom and thresholds
    fit, while weights keep their bits."""
    full = {}
    for name, population in network.populations.items():
        largest = np.max([np.abs(w).max(1) for w in weights[name].values()], axis=0)
        full[name] = 127 / np.where(largest > 0, largest, 127 / population.threshold)
    for shift in SHIFTS:
        scales = {}
        for name, own in grid.items():
            reach = np.maximum(_peaks(calibration, name, np.ones(len(own.threshold))), 1e-12)
            most = np.minimum(HEADROOM * LARGEST / reach, LARGEST / own.threshold) / 2.0**shift
            scales[name] = np.minimum(full[name], most)
        if all(np.all(scales[name] >= full[name] * LEAST / 127) for name in grid):
            break
    return scales, shift


def _lost(network: ChipNetwork, grid: Mapping[str, Population]) -> tuple[str, ...]:
    found = []
    for name, own in grid.items():
        asked = network.populations[name]
        for what in ("alpha", "beta"):
            before, after = getattr(asked, what), getattr(own, what)
            off = np.abs(np.log(before) / np.log(after) - 1).max()
            if off > 0.03:
                found.append(
                    f"{name}: {what} {before[0]:.4g} becomes {after[0]:.4g}, a time constant that is "
                    f"{off:.0%} off; weights are scaled so that a constant input leads to the same. Train "
                    "with decays of 1 - 2^-d (snnhw.chips.prepare)"
                )
    return tuple(found)


def _row(
    asked: Population, own: Population, whole: Mapping[str, Array], shift: int, made: Cells
) -> dict[str, str]:
    largest = max((float(np.abs(w).max(initial=0)) for w in whole.values()), default=0.0)
    off = (asked.alpha - own.alpha, asked.beta - own.beta)
    return {
        "neurons": str(asked.size),
        "shift": str(shift),
        "weight bits": f"{np.log2(largest + 1):.1f}",
        "threshold": f"{made.threshold.min()} to {made.threshold.max()}",
        "decay error": f"{max(np.abs(decays).max() for decays in off):.2g}",
    }


class XyloAudio2(Xylo):
    """Xylo Audio 2 (syns61201)."""

    name = "xylo-a2"
    table = _limits(1000, 8)


class XyloAudio3(Xylo):
    """Xylo Audio 3 (syns65302)."""

    name = "xylo-a3"
    table: ClassVar[Mapping[str, Limit]] = {
        **_limits(992, 32),
        "recurrent": Limit(
            "synapses between hidden neurons", 31_744, "synapses", f"{ROCKPOOL}, RAM map", False
        ),
    }


class XyloIMU(Xylo):
    """Xylo IMU (syns63300)."""

    name = "xylo-imu"
    table = _limits(496, 16)
