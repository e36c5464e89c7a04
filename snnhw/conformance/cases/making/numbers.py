"""Numbers for cases. One rule for every model, so that a new one gets cases without an edit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle, islice
from math import prod
from typing import Final, Protocol

import numpy as np

from snnhw.ir import Param, Params, Program
from snnhw.ir.ops import Shape
from snnhw.parity.arrays import Array

__all__ = ["Dyadics", "Numbers", "Randoms", "fill", "middle"]

FRACTIONS: Final = (0.75, 0.5, 0.25, 0.625)
"""Where the first, second, ... parameter of a model lies in its range: apart, lest one cancel another."""


class Numbers(Protocol):
    """A source of arrays."""

    def signal(self, shape: Shape) -> Array:
        """Inputs, states, seeds: anything that varies freely."""
        ...

    def weight(self, shape: Shape, fan_in: int) -> Array:
        """Weights of a layer that sums ``fan_in`` terms."""
        ...

    def param(self, param: Param, position: int, shape: Shape) -> Array:
        """A parameter of a neuron, within its bounds."""
        ...


@dataclass(frozen=True)
class Dyadics:
    """Small multiples of ``unit``, a power of two: sums and products of few of them are exact."""

    generator: np.random.Generator
    unit: float = 0.25

    def signal(self, shape: Shape) -> Array:
        most = int(1 / self.unit)
        return _float32(self.generator.integers(-most, 2 * most + 1, shape) * self.unit)

    def weight(self, shape: Shape, fan_in: int) -> Array:
        return _float32(self.generator.choice([-0.5, 0.5, 1.0], shape))

    def param(self, param: Param, position: int, shape: Shape) -> Array:
        """The ends of its range are among the values: that is where equations have corners."""
        return _float32(np.reshape(list(islice(cycle(_ladder(param, position)), prod(shape))), shape))


@dataclass(frozen=True)
class Randoms:
    """Random reals; signals are scaled by ``drive``."""

    generator: np.random.Generator
    drive: float = 1.0

    def signal(self, shape: Shape) -> Array:
        return _float32(self.generator.normal(0.25, 1.0, shape) * self.drive)

    def weight(self, shape: Shape, fan_in: int) -> Array:
        return _float32(self.generator.normal(0.0, 1.0, shape) / np.sqrt(fan_in))

    def param(self, param: Param, position: int, shape: Shape) -> Array:
        spread = 1.0 + 0.2 * self.generator.uniform(-1.0, 1.0, shape)
        return _float32(np.clip(middle(param, position) * spread, param.low, param.high))


def middle(param: Param, position: int) -> float:
    """A harmless multiple of 1/8 for the parameter that stands at this position in its model."""
    if param.default is not None:
        return round(8 * param.default) / 8 or 0.125
    fraction = FRACTIONS[position % len(FRACTIONS)]
    if param.low is not None and param.high is not None:
        return round(8 * (param.low + fraction * (param.high - param.low))) / 8
    if param.low is not None:
        return param.low + fraction
    return fraction if param.high is None else param.high - fraction


def _ladder(param: Param, position: int) -> Iterator[float]:
    base = middle(param, position)
    yield base
    others = (param.high, param.low) if None not in (param.low, param.high) else (base / 2, base * 2)
    yield from (float(np.clip(other, param.low, param.high)) for other in others if other is not None)


def fill(program: Program, numbers: Numbers, given: Mapping[str, Array]) -> Params:
    """Parameters for a program: what is ``given``, and weights for all that draws from a fan-in."""
    params: Params = {}
    for key, spec in program.params().items():
        params[key] = given[key] if key in given else numbers.weight(spec.shape, max(spec.fan_in, 1))
        if spec.kind == "statistic":  # a variance is positive
            params[key] = _float32(np.abs(params[key]) + 0.5)
    return params


def _float32(array: object) -> Array:
    return np.asarray(array, np.float32)
