"""Surrogate gradients under snnTorch's names: ``Leaky(0.9, spike_grad=surrogate.fast_sigmoid(25))``.

What these return are frozen values that every backend understands; called on a tensor, they give
spikes that are differentiable. The classes serve as well, ``FastSigmoid(25)``, and have snnTorch's
``FastSigmoid.apply(z, 25)``, with or without the settings.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

import snnhw.tensors.surrogates  # noqa: F401  # what a call on a tensor means
from snnhw.ir import (
    LSO,
    SFS,
    SSO,
    ATan,
    Custom,
    FastSigmoid,
    Gaussian,
    Heaviside,
    Sigmoid,
    SpikeRateEscape,
    StraightThrough,
    Surrogate,
    Triangle,
    Triangular,
)
from snnhw.tensors.custom import custom_surrogate
from snnhw.words import public

__all__ = [
    "LSO",
    "SFS",
    "SSO",
    "ATan",
    "Custom",
    "CustomSurrogate",
    "FastSigmoid",
    "Gaussian",
    "Heaviside",
    "LeakySpikeOperator",
    "Sigmoid",
    "SparseFastSigmoid",
    "SpikeRateEscape",
    "StochasticSpikeOperator",
    "StraightThrough",
    "StraightThroughEstimator",
    "Surrogate",
    "Triangle",
    "Triangular",
    "atan",
    "custom_surrogate",
    "fast_sigmoid",
    "gaussian",
    "heaviside",
    "sigmoid",
    "spike_rate_escape",
    "straight_through_estimator",
    "triangle",
    "triangular",
]

__getattr__, __dir__ = public(__name__, __all__)

Gradient = Callable[[Tensor, Tensor, Tensor], Tensor]

# snnTorch's names of the classes that are called otherwise here.
LeakySpikeOperator = LSO
SparseFastSigmoid = SFS
StochasticSpikeOperator = SSO
StraightThroughEstimator = StraightThrough


class CustomSurrogate:
    """The class behind `custom_surrogate`, in its call form: ``CustomSurrogate.apply(z, function)``."""

    @staticmethod
    def apply(input_: Tensor, custom_surrogate_function: Gradient) -> Tensor:
        """Spikes of ``input_``, with the gradient that ``function(input_, grad_input, spikes)`` gives."""
        spikes: Tensor = custom_surrogate(custom_surrogate_function)(input_)
        return spikes


def atan(alpha: float = 2.0) -> ATan:
    """Derivative of an arctangent, peak ``alpha / 2``: the default everywhere."""
    return ATan(alpha)


def fast_sigmoid(slope: float = 25.0) -> FastSigmoid:
    """``1 / (1 + slope * |z|)^2``."""
    return FastSigmoid(slope)


def gaussian(sigma: float = 0.5) -> Gaussian:
    """The normal density of standard deviation ``sigma``."""
    return Gaussian(sigma)


def heaviside() -> Heaviside:
    """1 where there is a spike, else 0."""
    return Heaviside()


def sigmoid(slope: float = 25.0) -> Sigmoid:
    """Derivative of a logistic curve, peak ``slope / 4``; finite everywhere."""
    return Sigmoid(slope)


def spike_rate_escape(beta: float = 1.0, slope: float = 25.0, *, centre: float = 1.0) -> SpikeRateEscape:
    """``slope * exp(-beta * |z - centre|)``; give ``centre=0`` for a peak at the threshold."""
    return SpikeRateEscape(beta, slope, centre)


def straight_through_estimator() -> StraightThrough:
    """1 everywhere."""
    return StraightThrough()


def triangle(width: float = 1.0, height: float = 1.0) -> Triangle:
    """``height * max(0, 1 - |z| / width)``."""
    return Triangle(width, height)


def triangular(threshold: float = 1.0) -> Triangular:
    """snnTorch's: ``threshold`` below 0, ``-threshold`` from 0 on. For a triangle, see `triangle`."""
    return Triangular(threshold)
