"""What a program says about its parameters. The arrays themselves live apart, in `Params`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = ["Param", "ParamSpec", "Params", "State"]

Params = dict[str, npt.NDArray[np.generic]]
"""Parameter key, such as ``"encoder.lif1.beta"`` -> host array."""


@dataclass(frozen=True)
class ParamSpec:
    """One parameter of one node of a program.

    Attributes:
        shape: its exact shape; ``()`` for a scalar. A neuron's parameter that is not scalar has the
            rank of the neuron's shape, with 1 where it is shared.
        kind: ``weight`` may be trained; ``buffer`` never is; a ``statistic`` is not trained either, but what
            training measures: every step of it leaves new values.
        default: the value it starts from; None for weights drawn from ``fan_in``.
        fan_in: draw from U(-1/sqrt(fan_in), 1/sqrt(fan_in)), as torch's layers do.
        table: any one-dimensional length is accepted in place of ``shape``.
    """

    shape: tuple[int, ...]
    kind: Literal["weight", "buffer", "statistic"] = "weight"
    default: float | None = None
    fan_in: int = 0
    table: bool = False

    def accepts(self, shape: tuple[int, ...]) -> bool:
        return len(shape) == 1 and shape[0] > 0 if self.table else shape == self.shape


@dataclass(frozen=True)
class Param:
    """A parameter of a model: a name in its equations.

    Attributes:
        name: the variable.
        default: value when the user gives none; None when one must be given.
        low: smallest sensible value, for front ends to check; None for no bound.
        high: largest sensible value, likewise.
        about: one line for documentation.
    """

    name: str
    default: float | None = None
    low: float | None = None
    high: float | None = None
    about: str = ""


@dataclass(frozen=True)
class State:
    """A state of a model: carried from step to step.

    Attributes:
        name: the variable; the value before the step in ``integrate`` and resets, after it in
            ``fire`` and ``post``.
        init: its value before the first step: a number, or the name of a parameter.
    """

    name: str
    init: float | str = 0.0


def key_of(node: str, name: str, keys: Mapping[str, str]) -> str:
    """The key of a node's parameter: its own, unless tied to another by ``keys``."""
    return keys.get(name, f"{node}.{name}")
