"""What stands for a chip's energy: what its integers do on the data, and what of its limits is used."""

from __future__ import annotations

import numpy as np

from snnhw.deploy import Deployed
from snnhw.metrics.records import ChipLayer, Proxies
from snnhw.plugin import Arrays
from snnhw.target import Array

__all__ = ["proxies"]


def proxies(deployed: Deployed, data: Arrays) -> Proxies:
    """Counts of a run of the integers, of one sample in the mean.

    Args:
        data: input name -> spikes ``[T, B, ...]``, which it was deployed with. A spike of 3 counts as 3.
    """
    network = deployed.quantised.network
    spikes = {name: np.asarray(x) for name, x in data.items()}
    spikes |= {name: deployed.run.recordings[f"{name}.spk"] for name in network.populations}
    samples = deployed.run.recordings[f"{next(iter(network.populations))}.spk"].shape[1]
    layers = []
    for name, cells in network.populations.items():
        arrived = sum(
            float(_per_neuron(spikes[way.source]) @ (way.weight != 0).sum(0)) for way in network.into(name)
        )
        per_step = spikes[name].reshape(len(spikes[name]), -1).sum(1) / samples
        layers.append(ChipLayer(name, cells.size, tuple(per_step.tolist()), arrived / samples))
    target = deployed.target
    return Proxies(target.name, target.label, samples, tuple(layers), deployed.quantised.uses)


def _per_neuron(spikes: Array) -> Array:
    """Of all steps and samples, ``[N]``."""
    steps, batch = spikes.shape[:2]
    return np.asarray(spikes.reshape(steps * batch, -1).sum(0))
