"""Surrogate gradients under snnTorch's names: ``Leaky(0.9, spike_grad=surrogate.fast_sigmoid(25))``.

What these return are frozen values that every backend understands; called on a tensor, they give
spikes that are differentiable.
"""

from __future__ import annotations

import snnhw.tensors.surrogates  # noqa: F401  # what a call on a tensor means
from snnhw.ir import ATan, FastSigmoid, StraightThrough, Surrogate

__all__ = [
    "ATan",
    "FastSigmoid",
    "StraightThrough",
    "Surrogate",
    "atan",
    "fast_sigmoid",
    "straight_through_estimator",
]


def atan(alpha: float = 2.0) -> ATan:
    """Derivative of an arctangent, peak ``alpha / 2``: the default everywhere."""
    return ATan(alpha)


def fast_sigmoid(slope: float = 25.0) -> FastSigmoid:
    """``1 / (1 + slope * |z|)^2``."""
    return FastSigmoid(slope)


def straight_through_estimator() -> StraightThrough:
    """1 everywhere."""
    return StraightThrough()
