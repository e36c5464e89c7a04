"""What a surrogate is: a frozen value with a derivative, which stands in for that of a spike.

A spike is ``1 where z > 0 else 0`` whatever the surrogate; one definition, the derivative as an
expression, serves every backend. The same frozen values are what a user calls on tensors: what a
call means there is registered by the front end, so that this module needs no tensor library.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import singledispatch
from typing import Any, ClassVar, Final, TypeVar

from snnhw.errors import InputError
from snnhw.ir.checks import is_number
from snnhw.ir.expr import Expr, graft, heaviside
from snnhw.ir.registered import enter
from snnhw.words import brief

__all__ = ["NOISE", "SURROGATES", "Surrogate", "apply_surrogate", "spike", "surrogate"]

SURROGATES: Final[dict[str, type[Surrogate]]] = {}
"""Every surrogate by its class name."""

NOISE: Final = "surrogate_noise"
"""Variable that a derivative may read: a random number in [0, 1), another for every element and step."""

S = TypeVar("S", bound="type[Surrogate]")


@dataclass(frozen=True)
class Surrogate(ABC):
    """Base of the surrogates; a subclass is a frozen dataclass with a `derivative`.

    Class attributes:
        not_below, above: setting -> the number that it must reach, or exceed, for the derivative to be
            finite everywhere.
    """

    not_below: ClassVar[Mapping[str, float]] = {}
    above: ClassVar[Mapping[str, float]] = {}

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if not is_number(value):
                raise InputError(f"{type(self).__name__}({item.name}={brief(value)}): give a finite number")
            object.__setattr__(self, item.name, float(value))
        for name, low in self.not_below.items():
            self._need(getattr(self, name) >= low, name, f"a number of {low:g} or more")
        for name, low in self.above.items():
            self._need(getattr(self, name) > low, name, f"a number greater than {low:g}")

    def _need(self, condition: bool, name: str, accepted: str) -> None:
        if not condition:
            raise InputError(f"{type(self).__name__}({name}={brief(getattr(self, name))}): give {accepted}")

    @abstractmethod
    def derivative(self, z: Expr) -> Expr:
        """dS/dz as an expression, of z and where it is random of `NOISE`."""

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
    enter(SURROGATES, cls)
    return cls
