"""Surrogates that are smooth but for a kink: each the slope of a curve that rises as a step does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from snnhw.ir.expr import Expr, const, exp, sigmoid
from snnhw.ir.surrogates.base import Surrogate, surrogate

__all__ = ["ATan", "FastSigmoid", "Gaussian", "Sigmoid", "SpikeRateEscape"]


@surrogate
@dataclass(frozen=True)
class ATan(Surrogate):
    """Derivative of an arctangent: ``(alpha / 2) / (1 + (pi/2 * alpha * z)^2)``; peak ``alpha / 2``.

    Source: W. Fang et al., "Incorporating Learnable Membrane Time Constant", ICCV 2021.
    """

    alpha: float = 2.0

    def derivative(self, z: Expr) -> Expr:
        scaled = const(math.pi / 2 * self.alpha) * z
        return (self.alpha / 2) / (1.0 + scaled * scaled)


@surrogate
@dataclass(frozen=True)
class FastSigmoid(Surrogate):
    """Derivative of ``z / (1 + slope * |z|)``: ``1 / (1 + slope * |z|)^2``; peak 1.

    Source: F. Zenke, S. Ganguli, "SuperSpike", Neural Computation 30(6), 2018.
    """

    slope: float = 25.0

    not_below: ClassVar[Mapping[str, float]] = {"slope": 0.0}

    def derivative(self, z: Expr) -> Expr:
        width = self.slope * abs(z) + 1.0
        return 1.0 / (width * width)


@surrogate
@dataclass(frozen=True)
class Sigmoid(Surrogate):
    """Derivative of a logistic curve: ``slope * s * (1 - s)``, where s is ``1 / (1 + exp(slope * |z|))``.

    Peak ``slope / 4``. The curve is symmetric, so s may be taken on the side where it is small: nothing
    overflows, and no digits are lost. snnTorch's form overflows, and gives NaN below ``z = -88 / slope``.

    Source: F. Zenke, S. Ganguli, "SuperSpike", Neural Computation 30(6), 2018.
    """

    slope: float = 25.0

    def derivative(self, z: Expr) -> Expr:
        s = sigmoid(-abs(self.slope * z))
        return self.slope * (s * (1.0 - s))


@surrogate
@dataclass(frozen=True)
class Gaussian(Surrogate):
    """The normal density: ``exp(-(z / sigma)^2 / 2) / (sigma * sqrt(2 pi))``; area 1.

    Source: B. Yin, F. Corradi, S. M. Bohte, Nature Machine Intelligence 3, 2021.
    """

    sigma: float = 0.5

    above: ClassVar[Mapping[str, float]] = {"sigma": 0.0}

    def derivative(self, z: Expr) -> Expr:
        scaled = z / self.sigma
        return 1.0 / (self.sigma * math.sqrt(2.0 * math.pi)) * exp(-0.5 * (scaled * scaled))


@surrogate
@dataclass(frozen=True)
class SpikeRateEscape(Surrogate):
    """Escape noise: ``slope * exp(-beta * |z - centre|)``; peak ``slope``.

    snnTorch's peaks where the membrane is 1 *above* threshold, since it takes 1 from what has lost the
    threshold already; that is the default here. ``centre=0`` puts the peak at the threshold, where the
    equation in its documentation has it.

    Source: W. Gerstner, W. M. Kistler, "Spiking Neuron Models", Cambridge University Press, 2002.
    """

    beta: float = 1.0
    slope: float = 25.0
    centre: float = 1.0

    not_below: ClassVar[Mapping[str, float]] = {"beta": 0.0}

    def derivative(self, z: Expr) -> Expr:
        return self.slope * exp(-(self.beta * abs(z - self.centre)))
