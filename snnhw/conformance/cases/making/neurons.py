"""Every neuron there is: models, each with its resets, its timings, and the options of a layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from snnhw.conformance.cases.making.numbers import Numbers
from snnhw.ir import MODELS, FrozenMap, Neuron, NeuronModel, Param, StraightThrough, Surrogate
from snnhw.ir.ops import Shape
from snnhw.parity.arrays import Array

__all__ = ["EXACT_LEVELS", "LEVELS", "Setting", "backwards", "common", "settings", "timings", "usual"]

EXACT_LEVELS: Final = np.array([-2, -1, -0.5, 0, 0.25, 0.5, 1, 1.5, 2, 4], np.float32)
LEVELS: Final = np.array([-2.1, -1.3, -0.6, -0.2, 0.05, 0.3, 0.7, 1.05, 1.4, 2.2], np.float32)
"""Tables for quantised states; the first is dyadic."""


EXACT_SURROGATE: Final = StraightThrough()
"""The surrogate that multiplies by 1, and so rounds nothing."""


@dataclass(frozen=True)
class Setting:
    """A kind of neuron layer, without its shape and numbers.

    Attributes:
        shaped: its parameters have a value for every neuron; otherwise they are scalars.
        graded, quantised: as for `snnhw.ir.Neuron`.
    """

    model: NeuronModel
    reset: str
    timing: str
    shaped: bool = False
    graded: bool = False
    quantised: bool = False

    @property
    def name(self) -> str:
        options = [word for word in ("shaped", "graded", "quantised") if getattr(self, word)]
        return "-".join([self.model.name, self.reset, self.timing, *options])

    @property
    def params(self) -> tuple[Param, ...]:
        graded = (Param("graded_spikes_factor", 1.0),) if self.graded else ()
        return (*self.model.params, *graded)

    def neuron(self, shape: Shape, surrogate: Surrogate | None = EXACT_SURROGATE) -> Neuron:
        """The op for a layer of this shape."""
        return Neuron(
            self.model,
            reset=self.reset,
            timing=self.timing,
            surrogate=surrogate,
            graded=self.graded,
            quantised=self.quantised,
            param_shapes=FrozenMap({param.name: shape for param in self.params} if self.shaped else {}),
        )

    def values(self, node: str, shape: Shape, numbers: Numbers, levels: Array = LEVELS) -> dict[str, Array]:
        """Parameters of the node: key -> array."""
        own = shape if self.shaped else ()
        found = {f"{node}.{p.name}": numbers.param(p, at, own) for at, p in enumerate(self.params)}
        return found | ({f"{node}.levels": levels} if self.quantised else {})


def settings(models: Mapping[str, NeuronModel] = MODELS) -> Iterator[Setting]:
    """Every model under every reset and timing it offers, plain and with all options at once.

    Two that come out as the same equations, such as no reset under any timing, count once: backends
    compile equations, and what is compiled once need not be tested twice.
    """
    seen = set()
    for model in models.values():
        fires = model.fire is not None
        for reset, timing in timings(model):
            for options in (False, True):
                setting = Setting(
                    model, reset, timing, shaped=options, graded=options and fires, quantised=options
                )
                step = setting.neuron(()).equations()
                equations = (step.updates, step.outputs, options)
                if equations not in seen:
                    seen.add(equations)
                    yield setting


def backwards(setting: Setting) -> bool:
    """Whether the setting is one that training is tried with: with options only under the model's own
    reset, because options and resets meet going forward and not going back."""
    return not setting.quantised or setting.reset == setting.model.reset


def timings(model: NeuronModel) -> Iterator[tuple[str, str]]:
    """Every reset with every timing under which the model offers it."""
    for reset in model.kinds:
        for timing in model.timings_of(reset):
            yield reset, timing


def usual(model: NeuronModel) -> tuple[str, str]:
    """What a user gets who asks for nothing: the model's own reset, under its first timing."""
    return model.reset, model.timings_of(model.reset)[0]


def common() -> Setting:
    """The neuron of cases that are about something else."""
    model = MODELS["Leaky"]
    return Setting(model, *usual(model))
