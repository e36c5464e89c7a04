"""What Xylo's integers are worth: decays, gains, scales of weights, the shift of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from snnhw.target import Array, Calibration, ChipNetwork, Population
from snnhw_chips.xylo_program import BITS, MOST, Cells

__all__ = [
    "LARGEST",
    "WEIGHTS",
    "arriving",
    "dash",
    "lost",
    "named",
    "on_grid",
    "peaks",
    "row",
    "scales_of",
]

LARGEST: Final = 2 ** (BITS - 1) - 1
WEIGHTS: Final = (-128, 127)
"""The smallest and the largest."""

HEADROOM: Final = 0.5
"""The share of a state's range that calibration data may fill: other data may go further."""

LEAST: Final = 100
"""Weights keep at least this much of 127 when a neuron's scale is made smaller for its states' sake."""

SHIFTS: Final = range(7, -1, -1)


def dash(decay: Array) -> Array:
    """The power of two by which a state decays: ``1 - 2^-dash``."""
    found: Array = np.clip(np.rint(-np.log2(1 - decay)), 1, 15).astype(np.int64)
    return found


def on_grid(cells: Population, ready: bool) -> Population:
    """Decays of the chip; the gain that they change `arriving` gives back to what drives the neuron."""
    alpha, beta = (1 - 2.0 ** -dash(decay) for decay in (cells.alpha, cells.beta))
    return Population(
        cells.name,
        alpha,
        beta,
        cells.threshold,
        cells.bias * (1 - beta) / (1 - cells.beta),
        "subtract",
        MOST["output" if ready else "hidden"],
    )


def gain_of(asked: Population, grid: Population) -> Array:
    """By how much weights grow, so that a constant input leads to the same."""
    found: Array = (1 - grid.alpha) * (1 - grid.beta) / ((1 - asked.alpha) * (1 - asked.beta))
    return found


def arriving(network: ChipNetwork, name: str, grid: Population) -> dict[str, Array]:
    """Source -> weights as the chip takes them, in the order in which it adds: an input enters decayed, and
    what a constant input leads to stays as it was."""
    gain = gain_of(network.populations[name], grid) / grid.alpha
    found: dict[str, Array] = {}
    for source in (*network.inputs, *network.populations):
        parts = [gain[:, None] * each.weight for each in network.into(name) if each.source == source]
        if parts:
            found[source] = np.sum(parts, axis=0)
    return found


def peaks(calibration: Calibration, name: str, unit: Array) -> Array:
    """``[N]``: the largest of a current and of a membrane, in integers."""
    found: Array = np.maximum(calibration.u[name], calibration.v[name]) * unit
    return found


def scales_of(
    network: ChipNetwork,
    grid: Mapping[str, Population],
    weights: Mapping[str, Mapping[str, Array]],
    calibration: Calibration,
) -> tuple[dict[str, Array], int]:
    """A scale for every neuron, and the largest shift for all at which states have headroom and thresholds
    fit, while weights keep their bits."""
    if all(each.grid for each in network.projections) and all(
        cells.unit is not None for cells in network.populations.values()
    ):
        return _trained(network, grid)
    full = {}
    for name, population in network.populations.items():
        largest = np.max([np.abs(w).max(1) for w in weights[name].values()], axis=0)
        full[name] = 127 / np.where(largest > 0, largest, 127 / population.threshold)
    for shift in SHIFTS:
        scales = {}
        for name, own in grid.items():
            reach = np.maximum(peaks(calibration, name, np.ones(own.size)), 1e-12)
            most = np.minimum(HEADROOM * LARGEST / reach, LARGEST / own.threshold) / 2.0**shift
            scales[name] = np.minimum(full[name], most)
        if all(np.all(scales[name] >= full[name] * LEAST / 127) for name in grid):
            break
    return scales, shift


def _trained(network: ChipNetwork, grid: Mapping[str, Population]) -> tuple[dict[str, Array], int]:
    """Scales and shift that the network was trained on."""
    scales, shift = {}, 0
    for each in network.projections:
        assert each.grid is not None, "asked before"
        scales[each.target] = each.grid.scale * grid[each.target].alpha
        unit = network.populations[each.target].unit
        shift = round(float(np.log2(unit / scales[each.target]).max()))
    return scales, shift


def lost(network: ChipNetwork, grid: Mapping[str, Population]) -> tuple[str, ...]:
    """Decays that are far from what was asked, in a sentence each."""
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


def row(
    asked: Population, own: Population, whole: Mapping[str, Array], shift: int, made: Cells
) -> dict[str, str]:
    """A population's row of the report."""
    largest = max((float(np.abs(w).max(initial=0)) for w in whole.values()), default=0.0)
    off = (asked.alpha - own.alpha, asked.beta - own.beta)
    return {
        "neurons": str(asked.size),
        "shift": str(shift),
        "weight bits": f"{np.log2(largest + 1):.1f}",
        "threshold": f"{made.threshold.min()} to {made.threshold.max()}",
        "decay error": f"{max(np.abs(decays).max() for decays in off):.2g}",
    }


def named(network: ChipNetwork, source: str, target: str) -> str:
    """What a projection is called: as before, unless it is several."""
    names = [each.name for each in network.into(target) if each.source == source]
    return names[0] if len(names) == 1 else f"{source}_to_{target}"
