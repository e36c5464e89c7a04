"""Surrogate gradients: what the derivative of a spike to z = U - threshold is taken to be."""

from __future__ import annotations

from snnhw.ir.surrogates.base import NOISE, SURROGATES, Surrogate, apply_surrogate, spike, surrogate
from snnhw.ir.surrogates.custom import Custom, Opaque, by_equations
from snnhw.ir.surrogates.piecewise import LSO, SFS, SSO, Heaviside, StraightThrough, Triangle, Triangular
from snnhw.ir.surrogates.smooth import ATan, FastSigmoid, Gaussian, Sigmoid, SpikeRateEscape

__all__ = [
    "LSO",
    "NOISE",
    "SFS",
    "SSO",
    "SURROGATES",
    "ATan",
    "Custom",
    "FastSigmoid",
    "Gaussian",
    "Heaviside",
    "Opaque",
    "Sigmoid",
    "SpikeRateEscape",
    "StraightThrough",
    "Surrogate",
    "Triangle",
    "Triangular",
    "apply_surrogate",
    "by_equations",
    "spike",
    "surrogate",
]
