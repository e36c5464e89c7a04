"""Surrogate gradients: what the derivative of a spike to z = U - threshold is taken to be.

A spike is ``1 where z > 0 else 0`` whatever the surrogate; one definition, the derivative as an
expression, serves every backend. The same frozen values are what a user calls on tensors: what a
call means there is registered by the front end, so that this module needs no tensor library.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from functools import singledispatch
from typing import Any, Final, TypeVar

from snnhw.errors import InputError
from snnhw.ir.checks import is_number
from snnhw.ir.expr import Expr, const, graft, heaviside
from snnhw.words import brief

__all__ = ["SURROGATES", "ATan", "FastSigmoid", "StraightThrough", "Surrogate", "apply_surrogate", "spike"]

SURROGATES: Final[dict[str, type[Surrogate]]] = {}
"""Every surrogate by its class name."""

S = TypeVar("S", bound="type[Surrogate]")


@dataclass(frozen=True)
class Surrogate(ABC):
    """Base of the surrogates; a subclass is a frozen dataclass with a `derivative`."""

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if not is_number(value):
                raise InputError(f"{type(self).__name__}({item.name}={brief(value)}): give a finite number")
            object.__setattr__(self, item.name, float(value))

    @abstractmethod
    def derivative(self, z: Expr) -> Expr:
        """dS/dz as an expression."""

    def __call__(self, z: Any) -> Any:
        """Spikes of ``z``: an expression gives an expression, a tensor a tensor of its dtype."""
        return apply_surrogate(z, self)

    @classmethod
    def apply(cls, z: Any, *settings: float) -> Any:
        """`__call__` with the settings given in place, as an autograd Function has it."""
        return cls(*settings)(z)


@singledispatch
def apply_surrogate(z: Any, surrogate: Surrogate) -> Any:  # noqa: ARG001  # what a registered one takes
    """Spikes of z under a surrogate. Kinds of array register themselves here."""
    raise InputError(
        f"a surrogate takes an expression or a torch tensor, not {type(z).__name__}; "
        "for tensors import snnhw.surrogate first"
    )


def spike(z: Expr, surrogate: Surrogate | None) -> Expr:
    """1 where z > 0 else 0, with the surrogate's derivative; None: without any."""
    return graft(heaviside(z), {} if surrogate is None else {z: surrogate.derivative(z)})


apply_surrogate.register(Expr, spike)


def surrogate(cls: S) -> S:
    """Register a surrogate class."""
    SURROGATES[cls.__name__] = cls
    return cls


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

    def derivative(self, z: Expr) -> Expr:
        width = self.slope * abs(z) + 1.0
        return 1.0 / (width * width)


@surrogate
@dataclass(frozen=True)
class StraightThrough(Surrogate):
    """The gradient passes unchanged: derivative 1 everywhere.

    Source: Y. Bengio et al., arXiv:1308.3432, 2013.
    """

    def derivative(self, z: Expr) -> Expr:
        return const(1.0)
