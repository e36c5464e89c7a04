"""What a *target* offers: a chip that computes in integers, as data and a rule. The one file that who adds a
chip reads, besides `snnhw.ir.integers`.

It is found through the entry-point group `snnhw.plugin.TARGETS`. Chips know populations of neurons and
projections between them; `snnhw.deploy` makes such a `ChipNetwork` of a program, puts the chip's delays in,
calibrates it, and has the target make integers of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from snnhw.plugin import Arrays, Probe

if TYPE_CHECKING:
    from snnhw.ir import NeuronModel, Params, Program

__all__ = [
    "Calibration",
    "ChipNetwork",
    "ChipTarget",
    "Job",
    "Limit",
    "Population",
    "Projection",
    "Quantised",
    "Use",
    "WeightGrid",
]

Array = npt.NDArray[Any]

Job = tuple[Mapping[str, Array], Arrays]
"""A network in a vendor's arrays, and one sample: input -> spikes ``[T, N]``."""


@dataclass(frozen=True, eq=False)
class Population:
    """Neurons of one kind, N of them: ``u' = alpha u + x``, ``v' = beta v + u' + bias``; they fire where
    ``v' > threshold``, and are reset at once: to 0, or by as many thresholds as they fire.

    Attributes:
        name: the node of the program that they are.
        alpha, beta, threshold, bias: ``[N]`` each, float64.
        reset: ``zero`` or ``subtract``.
        most: spikes of one neuron in a step.
        unit: ``[N]``, how many of the chip's integers make 1 of its states; None: it is not known yet.
    """

    name: str
    alpha: Array
    beta: Array
    threshold: Array
    bias: Array
    reset: Literal["zero", "subtract"]
    most: int = 1
    unit: Array | None = None

    @property
    def size(self) -> int:
        return len(self.threshold)


@dataclass(frozen=True, eq=False)
class WeightGrid:
    """The integers that weights are rounded to.

    Attributes:
        scale: ``[target]``, how many of them make a weight of 1.
        low, high: the smallest and the largest; step: between two of them.
    """

    scale: Array
    low: int
    high: int
    step: int = 1

    def whole(self, weight: Array) -> Array:
        """The integers of weights ``[target, source]``: the nearest, of two the larger."""
        found = self.step * np.floor(weight * self.scale[:, None] / self.step + 0.5)
        clipped: Array = np.clip(found, self.low, self.high).astype(np.int64)
        return clipped

    def on(self, weight: Array) -> Array:
        """The weights that those integers stand for."""
        found: Array = self.whole(weight) / self.scale[:, None]
        return found


@dataclass(frozen=True, eq=False)
class Projection:
    """Weights from a population or an input to a population.

    Attributes:
        name: the node of the program that it is.
        source: a population or an input; target: a population.
        weight: ``[target, source]``, float64.
        delay: steps.
        grid: what its weights are rounded to; None: the target chooses.
    """

    name: str
    source: str
    target: str
    weight: Array
    delay: int = 0
    grid: WeightGrid | None = None


@dataclass(frozen=True, eq=False)
class ChipNetwork:
    """Populations and projections.

    Attributes:
        inputs: name -> shape of one sample at one step.
        populations: by name, each after those that feed it without delay.
        outputs: name of an output -> the population whose spikes it gives.
        notes: what was changed to make it of a program, a sentence each.
    """

    inputs: Mapping[str, tuple[int, ...]]
    populations: Mapping[str, Population]
    projections: tuple[Projection, ...]
    outputs: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def into(self, population: str) -> tuple[Projection, ...]:
        """The projections that arrive there, in order."""
        return tuple(each for each in self.projections if each.target == population)

    def width(self, source: str) -> int:
        """Neurons of a population, or elements of an input."""
        if source in self.populations:
            return self.populations[source].size
        return int(np.prod(self.inputs[source], dtype=int))


@dataclass(frozen=True)
class Calibration:
    """What a run on sample data came to, in the units of the network.

    Attributes:
        u, v: population -> the largest absolute value of a current, of a membrane before its reset, ``[N]``.
        spikes: population or input -> the most spikes of one of them in a step.
    """

    u: Mapping[str, Array]
    v: Mapping[str, Array]
    spikes: Mapping[str, float]


@dataclass(frozen=True)
class Limit:
    """What a chip has of something.

    Attributes:
        name: what is limited; value: how much there is; unit: of what.
        source: who says so.
        checked: whether the vendor's own tool refuses more.
    """

    name: str
    value: float
    unit: str
    source: str
    checked: bool


@dataclass(frozen=True)
class Use:
    """How much of a limit a network uses: where most of it is used.

    Attributes:
        limit: of the target; used: how much; node: where.
    """

    limit: Limit
    used: float
    node: str = ""

    @property
    def fits(self) -> bool:
        return self.used <= self.limit.value


@dataclass(frozen=True, eq=False)
class Quantised:
    """A network in a chip's integers.

    Attributes:
        program, params: what is computed, with formats: see `snnhw.ir.whole`.
        network: the float network that has the chip's parameters, which the integers stand for: its
            populations have units, and its projections grids.
        vendor: name -> array, for the vendor's own constructors.
        uses: of every limit.
        rows: population -> what its integers came to: title -> value, for the report.
        lost: every choice that changed what is computed, in a sentence.
        ports: port of the program -> its name in what the vendor's simulator gives; all spikes and states.
    """

    program: Program
    params: Params
    network: ChipNetwork
    vendor: Mapping[str, Array]
    uses: tuple[Use, ...]
    rows: Mapping[str, Mapping[str, str]]
    lost: tuple[str, ...] = ()
    ports: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class ChipTarget(Protocol):
    """A chip. A class attribute will do for the first four."""

    @property
    def name(self) -> str:
        """Equal to the entry point's name."""
        ...

    @property
    def interface(self) -> int: ...

    @property
    def label(self) -> str:
        """What its integers are held to, such as "bit-true to lava-nc 0.10.0"."""
        ...

    @property
    def reset(self) -> Literal["zero", "subtract"]:
        """How its neurons are reset."""
        ...

    @property
    def limits(self) -> tuple[Limit, ...]: ...

    def delay(self, network: ChipNetwork, projection: Projection) -> int:
        """The steps that a projection takes there."""
        ...

    def problems(self, network: ChipNetwork) -> tuple[str, ...]:
        """Everything in it that the chip has no way to compute, each with its node."""
        ...

    def trained(self) -> NeuronModel | None:
        """The neurons' rule to train with: the chip's integers on the way there, and the derivatives of
        the floats that they stand for on the way back. States u and v in integers, a port x, and the
        parameters alpha, beta, bias, threshold, most, unit of a `Population`, under the name
        ``ChipPopulation``. None: floats with the chip's parameters are close enough."""
        ...

    def quantise(self, network: ChipNetwork, calibration: Calibration) -> Quantised:
        """Integers for a network that has the chip's delays; where it has grids and units, it was trained
        on them, and keeps them.

        Raises:
            ExportError: it does not fit; every reason, each with node, value and limit.
        """
        ...

    def probe(self) -> Probe:
        """Whether the vendor's simulator is at hand."""
        ...

    def simulate(self, jobs: Sequence[Job]) -> list[Arrays]:
        """What the vendor's simulator gives for each: `Quantised.ports` -> ``[T, N]``.

        Raises:
            DeviceError: it failed, died, or did not answer in time.
        """
        ...

    def loader(self) -> tuple[str, str]:
        """Name and text of a script that builds the network from the vendor's arrays, with the vendor's tools
        alone."""
        ...
