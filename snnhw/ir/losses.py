"""Losses as data: a sum of weighted terms, so that every backend can see into them.

Notation: S are spikes and U a membrane, both ``[T, B, C]``; y are class numbers ``[B]``; CE is the
mean over B of ``-log softmax(.)[y]``. Source: snnTorch 1.0's ``functional.loss`` and tutorial 5.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import singledispatch
from typing import Any, ClassVar, Final, Literal, TypeVar

from snnhw.errors import InputError
from snnhw.ir.checks import is_number
from snnhw.ir.registered import enter
from snnhw.words import brief

__all__ = [
    "LOSS_TERMS",
    "CECount",
    "CEMembrane",
    "CERate",
    "L1Rate",
    "Loss",
    "LossKind",
    "MSECount",
    "Term",
    "apply_loss",
]

LOSS_TERMS: Final[dict[str, type[LossKind]]] = {}
"""Every kind of loss term by its class name."""

K = TypeVar("K", bound="type[LossKind]")


@dataclass(frozen=True)
class LossKind:
    """Base of the kinds of loss term; subclasses are frozen dataclasses of plain values."""

    reads: ClassVar[Literal["spk", "mem"]] = "spk"
    """Which signal the term takes when the user names none."""

    target: ClassVar[Literal["class", "none"]] = "class"
    """What it is compared with: class numbers ``[B]``, or nothing."""

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if not isinstance(item.default, str) and not is_number(value):
                raise InputError(f"{type(self).__name__}({item.name}={brief(value)}): give a finite number")


def kind(cls: K) -> K:
    """Register a kind of loss term."""
    enter(LOSS_TERMS, cls)
    return cls


@kind
@dataclass(frozen=True)
class CERate(LossKind):
    """``mean_t CE(S_t, y)``: the right neuron should fire at every step."""


@kind
@dataclass(frozen=True)
class CECount(LossKind):
    """``CE(sum_t S_t, y)``: the right neuron should fire most often."""


@kind
@dataclass(frozen=True)
class CEMembrane(LossKind):
    """``CE(U_t, y)`` summed over time, or its mean over time."""

    reads: ClassVar[Literal["spk", "mem"]] = "mem"
    over_time: Literal["sum", "mean"] = "sum"

    def __post_init__(self) -> None:
        if self.over_time not in ("sum", "mean"):
            raise InputError(f"CEMembrane(over_time={self.over_time!r}): give 'sum' or 'mean'")


@kind
@dataclass(frozen=True)
class MSECount(LossKind):
    """``mean((sum_t S_t - target)^2) / T`` over batch and classes.

    The target is ``floor(T * correct_rate)`` spikes for the right class and
    ``floor(T * incorrect_rate)`` for the others.
    """

    correct_rate: float = 1.0
    incorrect_rate: float = 0.0


@kind
@dataclass(frozen=True)
class L1Rate(LossKind):
    """``sum S`` over time, batch and neurons; its weight is snnTorch's ``Lambda``."""

    target: ClassVar[Literal["class", "none"]] = "none"


@dataclass(frozen=True)
class Term:
    """One weighted term of a loss.

    Attributes:
        kind: what is computed.
        of: the port it reads, such as ``"lif2.spk"``; None: the program's output, or the membrane
            behind it for kinds that read one.
        weight: its factor.
        target: which target it is compared with, when there are several.
    """

    kind: LossKind
    of: str | None = None
    weight: float = 1.0
    target: str = "target"

    def __post_init__(self) -> None:
        if not isinstance(self.kind, LossKind):
            raise InputError(f"a term of a loss needs a kind such as CERate(), not {brief(self.kind)}")
        if not is_number(self.weight):
            raise InputError(f"the weight of a loss term is a finite number, not {brief(self.weight)}")


@dataclass(frozen=True)
class Loss:
    """A sum of terms. Losses add, and scale by numbers: ``ce_rate_loss() + 1e-5 * l1_rate()``."""

    terms: tuple[Term, ...]

    def __add__(self, other: Loss) -> Loss:
        return Loss(self.terms + other.terms) if isinstance(other, Loss) else NotImplemented

    def __mul__(self, factor: float) -> Loss:
        return Loss(tuple(replace(term, weight=term.weight * factor) for term in self.terms))

    __rmul__ = __mul__

    def of(self, port: str) -> Loss:
        """The same terms, reading the given port."""
        return Loss(tuple(replace(term, of=port) for term in self.terms))

    def __call__(self, signal: Any, targets: Any = None) -> Any:
        """The loss of one signal ``[T, B, C]`` against its targets; differentiable on tensors."""
        return apply_loss(signal, targets, self)


@singledispatch
def apply_loss(signal: Any, targets: Any, loss: Loss) -> Any:  # noqa: ARG001  # what a registered one takes
    """The value of a loss on arrays. Kinds of array register themselves here."""
    raise InputError(
        f"a loss takes a torch tensor [T, B, C], not {type(signal).__name__}; import snnhw.functional first"
    )
