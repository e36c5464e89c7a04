"""What a network comes to on sample data: its largest currents and membranes, and how often it fires."""

from __future__ import annotations

import numpy as np

from snnhw.deploy.floats import float_program
from snnhw.errors import InputError
from snnhw.plugin import Arrays
from snnhw.reference import execute
from snnhw.target import Calibration, ChipNetwork

__all__ = ["calibrate", "spike_inputs"]


def spike_inputs(inputs: Arrays, most: int) -> None:
    """Raise `InputError` unless inputs are spikes: whole numbers from 0 to ``most``."""
    for name, array in inputs.items():
        found = np.asarray(array)
        sound = np.isfinite(found) & (found >= 0) & (found <= most) & (found == np.rint(found))
        if not sound.all():
            raise InputError(
                f"input '{name}' holds {found[~sound][0]!s}; the chip takes spikes, whole numbers from 0 to "
                f"{most} in a step: encode what is given, as snnhw.spikegen does"
            )


def calibrate(network: ChipNetwork, inputs: Arrays) -> Calibration:
    """Run the network on sample data ``[T, B, ...]`` in float64.

    Raises:
        InputError: there is none, or it does not fit the network.
    """
    if not inputs or any(np.size(x) == 0 for x in inputs.values()):
        raise InputError("there is no calibration data; give inputs [T, B, ...] that are like those in use")
    program, params = float_program(network)
    names = list(network.populations)
    record = [f"{name}.{what}" for name in names for what in ("u", "v", "spk")]
    seen = execute(program, params, dict(inputs), record=record).recordings
    u, v, spikes = {}, {}, {}
    for name, cells in network.populations.items():
        spk, kept = seen[f"{name}.spk"], seen[f"{name}.v"]
        u[name] = np.abs(seen[f"{name}.u"]).max((0, 1))
        before = np.concatenate([np.zeros_like(kept[:1]), kept[:-1]])
        reached = cells.beta * before + seen[f"{name}.u"] + cells.bias  # before the reset
        v[name] = np.maximum(np.abs(reached).max((0, 1)), np.abs(kept).max((0, 1)))
        spikes[name] = float(spk.max())
    spikes |= {name: float(np.max(x)) for name, x in inputs.items()}
    return Calibration(u, v, spikes)
