"""What was counted while a network ran on data: numbers, and what pictures are drawn of.

Counts are whole numbers over all samples; what people are given, per sample or as a share, follows from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from snnhw.metrics.histogram import Histogram
from snnhw.target import Array, Use

__all__ = ["ChipLayer", "Footprint", "LayerActivity", "NetworkReport", "Proxies", "SynapticOperations"]


@dataclass(frozen=True, eq=False)
class LayerActivity:
    """A layer of neurons that fire; two of them add up to that of both their samples.

    Attributes:
        name: its node; model: that of its neurons.
        samples: that were run; cells: neurons times steps of all of them.
        per_step: spikes at each step, of all neurons and samples, ``[T]``; per_neuron: of each, ``[N]``.
        membrane: its values after each step, over all samples; None where its neurons have none.
    """

    name: str
    model: str
    samples: int
    cells: int
    per_step: Array
    per_neuron: Array
    membrane: Histogram | None = None

    def __add__(self, other: LayerActivity) -> LayerActivity:
        steps = max(len(self.per_step), len(other.per_step))
        per_step = [np.pad(each.per_step, (0, steps - len(each.per_step))) for each in (self, other)]
        both = self.membrane and other.membrane and self.membrane + other.membrane
        return LayerActivity(
            self.name,
            self.model,
            self.samples + other.samples,
            self.cells + other.cells,
            per_step[0] + per_step[1],
            self.per_neuron + other.per_neuron,
            both,
        )

    @property
    def neurons(self) -> int:
        return len(self.per_neuron)

    @property
    def silent(self) -> int:
        """Neurons that never fired."""
        return int((self.per_neuron == 0).sum())

    @property
    def fired(self) -> int:
        """Spikes of all samples."""
        return int(self.per_step.sum())

    @property
    def spikes(self) -> float:
        """Spikes of one sample, in the mean."""
        return self.fired / self.samples

    @property
    def over_time(self) -> tuple[float, ...]:
        """Spikes of one sample at each step, in the mean."""
        return tuple((self.per_step / self.samples).tolist())

    @property
    def rate(self) -> float:
        """Spikes of one neuron in one step, in the mean."""
        return self.fired / self.cells

    @property
    def sparsity(self) -> float:
        """The share of cells without a spike."""
        return (self.cells - self.fired) / self.cells


@dataclass(frozen=True)
class SynapticOperations:
    """Of one layer of weights, as NeuroBench counts: one for each input that is not 0, along each of its
    weights that is not 0. Biases are not counted. Two of them add up, as layers do.

    Attributes:
        name: its node; op: in a word.
        samples: that were run.
        acs: accumulations: of steps of a batch in which all inputs are -1, 0 or 1; macs: multiplications with
            accumulations: of all others.
        dense: what there would be if nothing were 0.
    """

    name: str
    op: str
    samples: int
    acs: int
    macs: int
    dense: int

    def __add__(self, other: SynapticOperations) -> SynapticOperations:
        return SynapticOperations(
            self.name,
            self.op,
            self.samples + other.samples,
            self.acs + other.acs,
            self.macs + other.macs,
            self.dense + other.dense,
        )

    @property
    def effective(self) -> float:
        """Operations of one sample, in the mean."""
        return (self.acs + self.macs) / self.samples


@dataclass(frozen=True)
class Footprint:
    """What a network takes.

    Attributes:
        parameters: how many numbers; parameter_bytes: in the types that they have.
        state_bytes: of one sample, in the type of the run.
        weights: of the layers that synaptic operations are counted of; zeros: how many of them are 0.
    """

    parameters: int
    parameter_bytes: int
    state_bytes: int
    weights: int
    zeros: int

    @property
    def connection_sparsity(self) -> float:
        """The share of weights that are 0."""
        return self.zeros / self.weights if self.weights else 0.0


@dataclass(frozen=True)
class ChipLayer:
    """A population in a chip's integers.

    Attributes:
        per_step: spikes of one sample at each step, in the mean.
        operations: synaptic operations that arrive at it, of one sample: spikes times weights that are not 0.
    """

    name: str
    neurons: int
    per_step: tuple[float, ...]
    operations: float

    @property
    def spikes(self) -> float:
        """Spikes of one sample, in the mean."""
        return sum(self.per_step)


@dataclass(frozen=True)
class Proxies:
    """What stands for a chip's energy: counts of its integers, run here. Nothing was measured on a chip.

    Attributes:
        target: its name; label: what its integers are held to.
        samples: that were run.
        layers: of populations; uses: of every limit, memory included.
    """

    target: str
    label: str
    samples: int
    layers: tuple[ChipLayer, ...]
    uses: tuple[Use, ...]

    @property
    def operations(self) -> float:
        """Synaptic operations of one sample."""
        return sum(layer.operations for layer in self.layers)


@dataclass(frozen=True, eq=False)
class NetworkReport:
    """A network on data.

    Attributes:
        backend: that ran it; label: what marks its results.
        samples, time_steps: how many; of sequences of several lengths, the longest.
        right: how many samples were taken for what they are; None: there were no labels.
        layers: those that fire, in order; synapses: layers of weights.
        weights: layer of weights -> its values.
        raster: layer -> step and neuron of each spike of the first sample, ``[2, spikes]``.
        proxies: of a chip, where one was asked for.
    """

    backend: str
    label: str
    samples: int
    time_steps: int
    right: int | None
    layers: tuple[LayerActivity, ...]
    synapses: tuple[SynapticOperations, ...]
    footprint: Footprint
    weights: Mapping[str, Histogram] = field(default_factory=dict)
    raster: Mapping[str, Array] = field(default_factory=dict)
    proxies: Proxies | None = None

    @property
    def accuracy(self) -> float | None:
        return None if self.right is None else self.right / self.samples

    @property
    def spikes(self) -> float:
        """Of one sample, in the mean, of all layers."""
        return sum(layer.fired for layer in self.layers) / self.samples

    @property
    def activation_sparsity(self) -> float:
        """The share of cells without a spike, of all layers; 0 without layers, as NeuroBench has it."""
        cells = sum(layer.cells for layer in self.layers)
        return (cells - sum(layer.fired for layer in self.layers)) / cells if cells else 0.0

    @property
    def effective_macs(self) -> float:
        """Of one sample, in the mean."""
        return sum(layer.macs for layer in self.synapses) / self.samples

    @property
    def effective_acs(self) -> float:
        """Of one sample, in the mean."""
        return sum(layer.acs for layer in self.synapses) / self.samples

    @property
    def dense(self) -> float:
        """Operations of one sample if nothing were 0."""
        return sum(layer.dense for layer in self.synapses) / self.samples
