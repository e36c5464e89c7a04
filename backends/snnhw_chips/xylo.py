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

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Literal

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
from snnhw_chips.processes import Simulator
from snnhw_chips.xylo_program import Cells, integer_program, vendor_arrays
from snnhw_chips.xylo_scales import (
    LARGEST,
    WEIGHTS,
    arriving,
    dash,
    lost,
    named,
    on_grid,
    peaks,
    row,
    scales_of,
)
from snnhw_chips.xylo_trained import trained_cells

if TYPE_CHECKING:
    from snnhw.ir import NeuronModel

__all__ = ["XyloAudio2", "XyloAudio3", "XyloIMU"]

ROCKPOOL: Final = "rockpool 3.1.0"
XYLOSIM: Final = "xylosim 0.1.3"
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


RAM: Final = f"{ROCKPOOL}, RAM map"
ENDS: Final = {
    "first": Limit("neurons that inputs reach", 128, "neurons", RAM, False),
    "last": Limit("neurons that feed outputs", 128, "neurons", RAM, False),
}
"""Of Audio 3 and IMU; rockpool's functions that should check them are empty."""


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

    def trained(self) -> NeuronModel | None:
        """States of 16 bits round so coarsely that training has to see it."""
        return trained_cells()

    def quantise(self, network: ChipNetwork, calibration: Calibration) -> Quantised:
        ready = tuple(dict.fromkeys(network.outputs.values()))
        grid = {name: on_grid(cells, name in ready) for name, cells in network.populations.items()}
        weights = {name: arriving(network, name, grid[name]) for name in grid}
        scales, shift = scales_of(network, grid, weights, calibration)
        made: dict[str, Cells] = {}
        floats: dict[str, Population] = {}
        projections: list[Projection] = []
        rows: dict[str, dict[str, str]] = {}
        for name, asked in network.populations.items():
            own, unit = grid[name], scales[name] * 2.0**shift
            rounded = WeightGrid(scales[name], *WEIGHTS)
            whole = {source: rounded.whole(weight) for source, weight in weights[name].items()}
            made[name] = Cells(
                dash(own.alpha),
                dash(own.beta),
                np.rint(own.threshold * unit).astype(np.int64),
                np.rint(own.bias * unit).astype(np.int64),
                whole,
            )
            floats[name] = replace(
                own, threshold=made[name].threshold / unit, bias=made[name].bias / unit, unit=unit
            )
            # the chip adds before it decays, and a population after
            kept = WeightGrid(scales[name] / own.alpha, *WEIGHTS)
            projections += [
                Projection(
                    named(network, source, name),
                    source,
                    name,
                    w / kept.scale[:, None],
                    self.delay(network, Projection("", source, name, w)),
                    kept,
                )
                for source, w in whole.items()
            ]
            rows[name] = row(asked, own, whole, shift, made[name])
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
            lost=(*network.notes, *lost(network, grid)),
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
        found["first"] = [
            (_rows(w for c in made.values() for s, w in c.weights.items() if s not in made), "")
        ]
        found["last"] = [(_columns(made[name].weights for name in ready), "")]
        found["input"] = [(calibration.spikes[name], name) for name in network.inputs]
        for name, cells in made.items():
            largest = max((float(np.abs(w).max(initial=0)) for w in cells.weights.values()), default=0.0)
            found.setdefault("weight", []).append((largest, name))
            found.setdefault("threshold", []).append((float(cells.threshold.max()), name))
            found.setdefault("bias", []).append((float(np.abs(cells.bias).max()), name))
            reached = float(peaks(calibration, name, units[name]).max())
            if network.populations[name].unit is not None:  # trained on the ends of its bits
                reached = min(reached, LARGEST)
            found.setdefault("state", []).append((reached, name))
        return tuple(Use(self.table[key], *max(found[key])) for key in self.table)

    def probe(self) -> Probe:
        return SIMULATOR.probe()

    def simulate(self, jobs: Sequence[Job]) -> list[Arrays]:
        return SIMULATOR.run(jobs)

    def loader(self) -> tuple[str, str]:
        return WORKER.name, WORKER.read_text()


def _rows(reached: Iterable[Array]) -> float:
    """Neurons that have a weight from an input."""
    return float(sum(np.count_nonzero(weight.any(1)) for weight in reached))


def _columns(feeding: Iterable[Mapping[str, Array]]) -> float:
    """Neurons that have a weight to an output, each once."""
    seen: dict[str, Array] = {}
    for weights in feeding:
        for source, weight in weights.items():
            seen[source] = seen.get(source, np.zeros(weight.shape[1], bool)) | weight.any(0)
    return float(sum(np.count_nonzero(used) for used in seen.values()))


PORTS: Final = {"i": "i", "v": "v", "spk": "s"}


class XyloAudio2(Xylo):
    """Xylo Audio 2 (syns61201)."""

    name = "xylo-a2"
    table = _limits(1000, 8)


class XyloAudio3(Xylo):
    """Xylo Audio 3 (syns65302)."""

    name = "xylo-a3"
    table: ClassVar[Mapping[str, Limit]] = {
        **_limits(992, 32),
        **ENDS,
        "recurrent": Limit("synapses between hidden neurons", 31_744, "synapses", RAM, False),
    }


class XyloIMU(Xylo):
    """Xylo IMU (syns63300)."""

    name = "xylo-imu"
    table: ClassVar[Mapping[str, Limit]] = {**_limits(496, 16), **ENDS}
