"""What can be said of a network on a chip: three verdicts, which are never mixed.

A: how far the chip's parameters and integers are from the float network, layer by layer, each given the
spikes of the float network. Spike trains of deep networks that run freely part at equal rates, and say
nothing.
B: our integers and those of the vendor's simulator, all states and spikes, of which none may differ.
C: every limit, with what is used of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from snnhw.deploy.deploying import Deployed
from snnhw.deploy.floats import float_program
from snnhw.deploy.forcing import forced
from snnhw.ir import Input, Program
from snnhw.plugin import Arrays
from snnhw.reference import execute
from snnhw.target import Array, Use

__all__ = ["CELLS", "RATE", "Layer", "Vendor", "Verdicts", "verdicts"]

CELLS: Final = 0.1
"""The share of a layer's cells, neurons times steps, in which the chip may fire otherwise (A): states of 16
bits alone move 2 to 7 % of them."""

RATE: Final = 0.1
"""How far the chip's number of spikes may be from the float network's, relative to that (A)."""


@dataclass(frozen=True)
class Layer:
    """One population, given the float network's spikes.

    Attributes:
        fired: spikes of the float network; chip: of the chip's integers.
        differ: the share of cells in which the two fire otherwise; grid: likewise of the float network that
            has the chip's parameters.
        free: spikes of the integers when all layers run freely.
    """

    name: str
    fired: int
    chip: int
    differ: float
    grid: float
    free: int

    @property
    def ok(self) -> bool:
        return self.differ <= CELLS and abs(self.chip - self.fired) <= RATE * max(self.fired, 1)


@dataclass(frozen=True)
class Vendor:
    """The vendor's simulator.

    Attributes:
        compared: integers; differ: how many of them do; first: where, in words.
        samples: how many of the data it was given; by: its name and version.
    """

    compared: int
    differ: int
    first: str
    samples: int
    by: str

    @property
    def ok(self) -> bool:
        return self.compared > 0 and self.differ == 0


@dataclass(frozen=True)
class Verdicts:
    """A, B (None: it was not asked) and C.

    Attributes:
        agree: the share of samples for which the largest output is the same, in float and on the chip.
    """

    target: str
    label: str
    layers: tuple[Layer, ...]
    agree: float
    vendor: Vendor | None
    uses: tuple[Use, ...]

    @property
    def ok(self) -> bool:
        held = self.vendor is None or self.vendor.ok
        return held and all(layer.ok for layer in self.layers) and all(use.fits for use in self.uses)


def verdicts(deployed: Deployed, data: Arrays, *, vendor: int = 0) -> Verdicts:
    """Hold a deployed network to the float network, and to the vendor's simulator.

    Args:
        data: input name -> spikes ``[T, B, ...]``.
        vendor: how many samples the vendor's simulator is given; 0: none.

    Raises:
        DeviceError: the simulator failed, or did not answer.
    """
    given = {name: np.asarray(array, np.float64) for name, array in data.items()}
    floats, params = float_program(deployed.timed.network)
    spikes = [f"{name}.spk" for name in deployed.timed.network.populations]
    wanted = execute(floats, params, given, record=spikes).recordings
    made = deployed.quantised
    whole = {name: array.astype(np.int64) for name, array in given.items()}
    free = execute(made.program, made.params, whole, record=list(made.ports))
    layers = tuple(
        _layer(deployed, name, given, wanted, free.recordings) for name in deployed.timed.network.populations
    )
    agree = [
        (free.outputs[name].sum(0).argmax(-1) == wanted[f"{source}.spk"].sum(0).argmax(-1)).mean()
        for name, source in deployed.timed.network.outputs.items()
    ]
    held = _vendor(deployed, whole, free.recordings, vendor) if vendor else None
    target = deployed.target
    return Verdicts(target.name, target.label, layers, float(np.mean(agree)), held, made.uses)


def _layer(deployed: Deployed, name: str, given: Arrays, wanted: Arrays, free: Arrays) -> Layer:
    made, spikes = deployed.quantised, {key.removesuffix(".spk"): np.asarray(x) for key, x in wanted.items()}
    grid, grid_params = float_program(made.network)
    fired = spikes[name]
    chip = _alone(made.program, made.params, name, {**given, **spikes})
    same = _alone(grid, grid_params, name, {**given, **spikes})
    return Layer(
        name,
        int(fired.sum()),
        int(chip.sum()),
        float((chip != fired).mean()),
        float((same != fired).mean()),
        int(np.sum(free[f"{name}.spk"])),
    )


def _alone(program: Program, params: Arrays, name: str, signals: Arrays) -> Array:
    """Its spikes, where all that feeds it is given."""
    part = forced(program, name, BITS)
    dtype = np.int64 if program.formats else np.float64
    sources = {source: name if source == f"{name}_" else source for source in part.named(Input)}
    inputs = {source: np.asarray(signals[of], dtype) for source, of in sources.items()}
    own = {key: np.asarray(params[key]) for key in part.params()}
    return execute(part, own, inputs).outputs["forced"]


BITS: Final = 8
"""Of the number of spikes that a layer is given."""


def _vendor(deployed: Deployed, given: Arrays, ours: Arrays, samples: int) -> Vendor:
    made, target = deployed.quantised, deployed.target
    batch = np.shape(next(iter(given.values())))[1]
    taken = range(min(samples, batch))
    jobs = [
        (made.vendor, {name: np.asarray(x)[:, b].reshape(len(x), -1) for name, x in given.items()})
        for b in taken
    ]
    compared = differ = 0
    first = ""
    for sample, found in zip(taken, target.simulate(jobs), strict=True):
        for port, theirs in made.ports.items():
            mine = np.asarray(ours[port])[:, sample].reshape(np.shape(found[theirs]))
            apart = mine != np.asarray(found[theirs])
            compared, differ = compared + mine.size, differ + int(apart.sum())
            if apart.any() and not first:
                step, neuron = (int(at) for at in np.argwhere(apart)[0])
                theirs_there = np.asarray(found[theirs])[step, neuron]
                place = f"{port} of sample {sample}, step {step}, neuron {neuron}"
                first = f"{place}: {mine[step, neuron]}, and there {theirs_there}"
    return Vendor(compared, differ, first, len(taken), target.probe().version)
