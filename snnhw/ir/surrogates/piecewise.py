"""Surrogates made of pieces: constants, and straight lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from snnhw.ir.expr import Expr, const, greater, heaviside, maximum, var, where
from snnhw.ir.surrogates.base import NOISE, Surrogate, surrogate

__all__ = ["LSO", "SFS", "SSO", "Heaviside", "StraightThrough", "Triangle", "Triangular"]


@surrogate
@dataclass(frozen=True)
class StraightThrough(Surrogate):
    """The gradient passes unchanged: derivative 1 everywhere.

    Source: Y. Bengio et al., arXiv:1308.3432, 2013.
    """

    def derivative(self, z: Expr) -> Expr:  # the same for every z
        return const(1.0)


@surrogate
@dataclass(frozen=True)
class Heaviside(Surrogate):
    """The gradient passes where there is a spike: 1 where ``z > 0``, else 0."""

    def derivative(self, z: Expr) -> Expr:
        return heaviside(z)


@surrogate
@dataclass(frozen=True)
class Triangular(Surrogate):
    """snnTorch's ``triangular``: ``threshold`` where ``z < 0``, ``-threshold`` from 0 on.

    Despite its name it is no triangle: it is the slope of one, ``-threshold * |z|``, and it changes sign at
    the threshold. It is here for the sake of networks that were trained with it; see `Triangle`.
    """

    threshold: float = 1.0

    def derivative(self, z: Expr) -> Expr:
        return where(greater(0.0, z), self.threshold, -self.threshold)


@surrogate
@dataclass(frozen=True)
class Triangle(Surrogate):
    """A triangle: ``height * max(0, 1 - |z| / width)``.

    Norse calls it ``triangle``; SpikingJelly's ``PiecewiseQuadratic(alpha)`` has ``width = 1 / alpha`` and
    ``height = alpha``.

    Source: G. Bellec et al., "Long short-term memory and learning-to-learn in networks of spiking
    neurons", NeurIPS 2018 (there with height 0.3).
    """

    width: float = 1.0
    height: float = 1.0

    above: ClassVar[Mapping[str, float]] = {"width": 0.0}

    def derivative(self, z: Expr) -> Expr:
        return self.height * maximum(1.0 - abs(z) / self.width, 0.0)


@surrogate
@dataclass(frozen=True)
class SSO(Surrogate):
    """Stochastic spike operator: 1 where ``z > 0``, else ``(u - 0.5 + mean) * variance``.

    u is uniform in [0, 1), another for every element and step, and is read by gradients only. As in
    snnTorch, where ``variance`` is a factor.
    """

    mean: float = 0.0
    variance: float = 0.2

    def derivative(self, z: Expr) -> Expr:
        return where(greater(z, 0.0), 1.0, (var(NOISE) - 0.5 + self.mean) * self.variance)


@surrogate
@dataclass(frozen=True)
class LSO(Surrogate):
    """Leaky spike operator: 1 where ``z > 0``, else ``slope``, as a leaky ReLU has it.

    snnTorch 1.0 documents this and cannot run it (jeshraghian/snntorch issues 347 and 430).
    """

    slope: float = 0.1

    def derivative(self, z: Expr) -> Expr:
        return where(greater(z, 0.0), 1.0, self.slope)


@surrogate
@dataclass(frozen=True)
class SFS(Surrogate):
    """Sparse fast sigmoid: ``1 / (1 + slope * |z|)^2`` where ``z > B``, else 0.

    As in snnTorch, whose default ``B = 1`` passes a gradient only where the membrane is more than 1 above
    threshold. The paper keeps the gradient *near* the threshold; a negative B comes closer to that.

    Source: N. Perez-Nieves, D. F. M. Goodman, "Sparse Spiking Gradient Descent", NeurIPS 2021.
    """

    slope: float = 25.0
    B: float = 1.0

    not_below: ClassVar[Mapping[str, float]] = {"slope": 0.0}

    def derivative(self, z: Expr) -> Expr:
        width = self.slope * abs(z) + 1.0
        return where(greater(z, self.B), 1.0 / (width * width), 0.0)
