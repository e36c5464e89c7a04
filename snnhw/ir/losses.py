"""Losses as data: a sum of weighted terms, so that every backend can see into them.

Notation: S are spikes and U a membrane, both ``[T, B, C]``; y are class numbers ``[B]``; CE is
``-log softmax(.)[y]``, one number for each sample. Some compare with values that are wanted, for which
class numbers may stand (`snnhw.ir.targets`). Source: snnTorch 1.0's ``functional.loss`` and tutorial 5.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import singledispatch
from typing import Any, ClassVar, Final, Literal, TypeVar

from snnhw.errors import InputError
from snnhw.ir.checks import is_number
from snnhw.ir.identity import LATER
from snnhw.ir.loss_settings import WRONG, number
from snnhw.ir.registered import enter
from snnhw.ir.targets import (
    CLASS_OF_STEP,
    CLASSES,
    CLASSES_OVER_TIME,
    FIRST_STEPS,
    VALUES,
    VALUES_OVER_TIME,
    Form,
)
from snnhw.words import brief

__all__ = [
    "LOSS_TERMS",
    "CECount",
    "CEMaxMembrane",
    "CEMembrane",
    "CERate",
    "CETemporal",
    "ClassLoss",
    "L1Rate",
    "Loss",
    "LossKind",
    "MSECount",
    "MSEMembrane",
    "MSETemporal",
    "PopulationLoss",
    "Term",
    "ValueLoss",
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
    instead: ClassVar[str] = ""
    """What to do where no backend trains with it."""

    @property
    def takes(self) -> tuple[Form, ...]:
        """The forms that a target may have; none: it is compared with nothing."""
        return ()

    def classes(self, neurons: int) -> int:
        """How many class numbers there are, where a target holds some.

        Args:
            neurons: of the signal.
        """
        return neurons

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            check = WRONG.get(item.name, number if not isinstance(item.default, str) else lambda _: "")
            if wrong := check(value):
                raise InputError(f"{type(self).__name__}({item.name}={brief(value)}): {wrong}")


@dataclass(frozen=True, kw_only=True)
class ClassLoss(LossKind):
    """Base of the terms that compare with class numbers.

    Attributes:
        reduction: over the samples (and classes, where each has its own value): their mean or sum.
        class_weights: how much a sample of each class counts, ``[classes]``; the mean is then
            ``sum w[y] x / sum w[y]``, as torch's cross entropy has it. None: all alike.
    """

    reduction: Literal["mean", "sum"] = "mean"
    class_weights: tuple[float, ...] | None = None

    @property
    def takes(self) -> tuple[Form, ...]:
        return (CLASSES,)

    def classes(self, neurons: int) -> int:
        """How many classes a signal of so many neurons tells apart.

        Raises:
            InputError: the number of neurons does not suit the settings.
        """
        return self._weighed(neurons)

    def _weighed(self, classes: int) -> int:
        if self.class_weights is not None and len(self.class_weights) != classes:
            raise InputError(
                f"{type(self).__name__} has {len(self.class_weights)} class weights for {classes} classes; "
                "give one for each class"
            )
        return classes


@dataclass(frozen=True, kw_only=True)
class PopulationLoss(ClassLoss):
    """Base of the terms that may give every class a population of neurons.

    Attributes:
        num_classes: how many classes share the neurons, in neighbouring groups of one size whose
            spikes are added up; None: every neuron is a class.
    """

    num_classes: int | None = None

    def classes(self, neurons: int) -> int:
        """How many classes a signal of so many neurons tells apart.

        Raises:
            InputError: the neurons cannot be shared evenly, or the weights are for other classes.
        """
        classes = neurons if self.num_classes is None else self.num_classes
        if neurons % classes:
            raise InputError(
                f"{type(self).__name__}(num_classes={classes}) cannot share {neurons} neurons evenly; "
                "give a layer whose size is a multiple of the number of classes"
            )
        return self._weighed(classes)


@dataclass(frozen=True, kw_only=True)
class ValueLoss(ClassLoss):
    """Base of the terms that compare with values; class numbers stand for some.

    Those with ``class_weights`` take class numbers alone, by which samples are weighted.
    """

    @property
    def ends(self) -> tuple[float, float]:
        """What class numbers stand for: the value of the right class, and that of the others."""
        raise NotImplementedError


def kind(cls: K) -> K:
    """Register a kind of loss term."""
    enter(LOSS_TERMS, cls)
    return cls


@kind
@dataclass(frozen=True)
class CERate(PopulationLoss):
    """``mean_t CE(S_t, y)``: the right neuron should fire at every step."""


@kind
@dataclass(frozen=True)
class CECount(PopulationLoss):
    """``CE(sum_t S_t, y)``: the right neuron should fire most often."""


@kind
@dataclass(frozen=True)
class CEMembrane(ClassLoss):
    """``CE(U_t, y)`` summed over time, or its mean over time."""

    reads: ClassVar[Literal["spk", "mem"]] = "mem"
    over_time: Literal["sum", "mean"] = "sum"


@kind
@dataclass(frozen=True)
class CEMaxMembrane(ClassLoss):
    """``CE(max_t U_t, y)``; of equal maxima the earliest takes the gradient."""

    reads: ClassVar[Literal["spk", "mem"]] = "mem"


@kind
@dataclass(frozen=True)
class MSECount(PopulationLoss):
    """``(sum_t S_t - target)^2 / T`` for every sample and class.

    The target is ``floor(T * correct_rate * n)`` spikes for the right class and
    ``floor(T * incorrect_rate * n)`` for the others, with n neurons for each class.
    """

    correct_rate: float = 1.0
    incorrect_rate: float = 0.0


@kind
@dataclass(frozen=True)
class MSEMembrane(ValueLoss):
    """``mean_t (U_t - target_t)^2`` for every sample and neuron.

    Targets are values, ``[T, B, ...]``, or ``[B, ...]`` where they are the same at every step; or class
    numbers, ``[B]`` or ``[T, B]``, which stand for on_target at the right class and off_target at the others.

    Attributes:
        time_var_targets: class numbers ``[T]`` are taken, the same for all samples, rather than ``[B]``.
    """

    reads: ClassVar[Literal["spk", "mem"]] = "mem"
    on_target: float = 1.0
    off_target: float = 0.0
    time_var_targets: bool = field(default=False, metadata=LATER)

    @property
    def takes(self) -> tuple[Form, ...]:
        if self.class_weights is not None:
            return (CLASSES,)
        one_axis = CLASS_OF_STEP if self.time_var_targets else CLASSES
        return (one_axis, CLASSES_OVER_TIME, VALUES, VALUES_OVER_TIME)

    @property
    def ends(self) -> tuple[float, float]:
        return self.on_target, self.off_target


@kind
@dataclass(frozen=True)
class MSETemporal(ValueLoss):
    """``((first - target) / T)^2`` for every sample and class, of the step of the first spike.

    A neuron that is silent counts as firing at the last step. The step is no smooth function of the
    spikes; what flows back goes, with its sign changed, to the spike at that step: more of it, earlier.

    Attributes:
        on_target: the step at which the right class should first fire; off_target: the others. Negative
            ones count from the end, -1 being the last.
        tolerance: a step less than this far from its target is as good as the target.
        target_is_time: the target is those steps, ``[B, C]``, rather than class numbers.
    """

    on_target: float = 0.0
    off_target: float = -1.0
    tolerance: float = 0.0
    target_is_time: bool = field(default=False, metadata=LATER)

    @property
    def takes(self) -> tuple[Form, ...]:
        return (FIRST_STEPS,) if self.target_is_time else (CLASSES,)

    @property
    def ends(self) -> tuple[float, float]:
        return self.on_target, self.off_target

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.target_is_time and self.class_weights is not None:
            raise InputError(
                "MSETemporal(target_is_time=True) has no class of a sample to weigh it by; "
                "leave class_weights out"
            )


@kind
@dataclass(frozen=True)
class CETemporal(ClassLoss):
    """``CE(-first, y)``, or ``CE(1 / (first + 1), y)``: the right neuron should be the first to fire.

    First steps and their gradient are those of `MSETemporal`.
    """

    inverse: Literal["negate", "reciprocal"] = "negate"


@kind
@dataclass(frozen=True)
class L1Rate(LossKind):
    """``sum S`` over time, batch and neurons; its weight is snnTorch's ``Lambda``."""


@dataclass(frozen=True)
class Term:
    """One weighted term of a loss.

    Attributes:
        kind: what is computed.
        of: the port it reads, such as ``"lif2.spk"``; None: the program's output, or the membrane
            behind it for kinds that read one.
        weight: its factor.
        target: which target it is compared with, when there are several.
        lengths: the target that says how many steps of each sample there are, ``[B]``: the term of a sample
            is what it is of those steps alone, and nothing where there are none. "": all T steps.
    """

    kind: LossKind
    of: str | None = None
    weight: float = 1.0
    target: str = "target"
    lengths: str = field(default="", metadata=LATER)

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

    @property
    def reduction(self) -> str | None:
        """How samples are reduced, where all terms agree: ``mean``, ``sum``, ``none``; else None."""
        found = {_reduction(term.kind) for term in self.terms}
        return found.pop() if len(found) == 1 else None

    @property
    def weight(self) -> tuple[float, ...] | None:
        """How much a sample of each class counts, where all terms agree; None: all alike."""
        found = {getattr(getattr(term.kind, "kind", term.kind), "class_weights", None) for term in self.terms}
        return found.pop() if len(found) == 1 else None

    def of(self, port: str) -> Loss:
        """The same terms, reading the given port."""
        return Loss(tuple(replace(term, of=port) for term in self.terms))

    def within(self, lengths: str) -> Loss:
        """The same terms, of each sample's own steps.

        Args:
            lengths: the target that says how many those are, see `Term`.

        Raises:
            InputError: a term has no such meaning.
        """
        for kind in (type(term.kind) for term in self.terms):
            if kind not in LOSS_TERMS.values():
                raise InputError(
                    f"the loss term {kind.__name__} has no meaning for samples of several lengths; give one "
                    "with reduction='mean' or 'sum', of first spikes, or train on batches of one length each"
                )
        return Loss(tuple(replace(term, lengths=lengths) for term in self.terms))

    def __call__(self, signal: Any, targets: Any = None, lengths: Any = None) -> Any:
        """The loss of one signal ``[T, B, C]`` against its targets; differentiable on tensors.

        Args:
            lengths: how many of the T steps each sample has, ``[B]``; None: all of them.
        """
        return apply_loss(signal, targets, self, lengths)


def _reduction(kind: LossKind) -> str | None:
    return "none" if hasattr(kind, "kind") else getattr(kind, "reduction", None)  # one without is unreduced


@singledispatch
def apply_loss(signal: Any, targets: Any, loss: Loss, lengths: Any) -> Any:  # noqa: ARG001  # what a registered one takes
    """The value of a loss on arrays. Kinds of array register themselves here."""
    raise InputError(
        f"a loss takes a torch tensor [T, B, C], not {type(signal).__name__}; import snnhw.functional first"
    )
