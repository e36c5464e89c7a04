"""Kinds of loss term -> how they are written. Signals are ``[B, T, C]`` here, class numbers ``[B]``.

Cross-entropy is written out in plain operations. PopTorch marks its own as losses of their own accord,
and what becomes of several of those in one graph is not for a program to depend on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import floor
from typing import Any, Final, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from snnhw.ir import (
    CECount,
    CEMaxMembrane,
    CEMembrane,
    CERate,
    CETemporal,
    ClassLoss,
    L1Rate,
    Loss,
    LossKind,
    MSECount,
    MSEMembrane,
    MSETemporal,
    Shape,
    Term,
    ValueLoss,
)
from snnhw.ir.targets import Form, wanted
from snnhw_ipu.recipe import Draft, Register

__all__ = [
    "LOSSES",
    "Reading",
    "by_weight",
    "lower_loss",
    "reads_values",
    "target_name",
    "target_shape",
    "total_name",
    "values",
]

Array = npt.NDArray[Any]
K_co = TypeVar("K_co", bound=LossKind, covariant=True)


@dataclass(frozen=True)
class Reading(Generic[K_co]):
    """A loss term that is being written.

    Attributes:
        signal: ``[B, T, ...]``; classes: class numbers ``[B]``, when the term reads those.
        values: what is wanted, ``[B, T, ...]``, or of first steps ``[B, ...]``, when the term reads that.
        steps: T.
        parts: in how many parts the device takes a batch; their mean is the loss of the whole.
        whole: what the classes of the whole batch weigh together, ``[B]``, where a part does not know it.
    """

    kind: K_co
    draft: Draft
    signal: Register
    classes: Register | None
    values: Register | None
    steps: int
    parts: int
    whole: Register | None

    def call(self, function: str, *operands: Register, **options: Any) -> Register:
        return self.draft.emit(function, *operands, **options)

    def number(self, value: float) -> Register:
        return self.draft.const(value, like=self.signal)

    def array(self, name: str, values: npt.ArrayLike, dtype: type = np.float32) -> Register:
        """Numbers that are known now. The name says all about them: one name, one array."""
        return self.draft.constant(f"#{name}", np.array(values, dtype))

    def down(self, name: str, values: Sequence[float]) -> Register:
        """One number for each step, ``[T, 1]``."""
        return self.array(f"{name}:{self.steps}", [[value] for value in values])

    def size(self) -> int:
        """How many classes there are."""
        neurons = self.signal.shape[-1]
        return self.kind.classes(neurons) if isinstance(self.kind, ClassLoss) else neurons

    def hits(self) -> Register:
        """``[B, classes]``, true at the right class."""
        assert self.classes is not None
        numbers = self.array(f"classes:{self.size()}", range(self.size()), np.int32)
        return self.call("hits", self.classes, numbers)

    def wanted(self, right: float, others: float) -> Register:
        """``[B, classes]``: one number at the right class, another at the others."""
        return self.call("where", self.hits(), self.number(right), self.number(others))

    def grouped(self) -> Register:
        """The spikes of each class together, ``[B, T, classes]``."""
        neurons, classes = self.signal.shape[-1], self.size()
        if neurons == classes:
            return self.signal
        apart = self.draft.emit("reshape", self.signal, shape=(self.steps, classes, neurons // classes))
        return self.call("sum", apart, axes=[-1])

    def count(self) -> Register:
        """Spikes of each class over all time, ``[B, classes]``."""
        return self.call("sum", self.grouped(), axes=[1])

    def over_time(self, values: Register) -> Register:
        """The mean over steps: ``[B, T, ...]`` gives ``[B, ...]``."""
        return self.call("div", self.call("sum", values, axes=[1]), self.number(self.steps))

    def cross_entropy(self, logits: Register, hits: Register | None = None) -> Register:
        """``-log softmax(logits)`` at the right class: ``[B, ..., classes]`` gives ``[B, ...]``."""
        chosen = self.call("where", hits or self.hits(), self.call("log_softmax", logits), self.number(0.0))
        return self.call("neg", self.call("sum", chosen, axes=[-1]))

    def cross_entropies(self, logits: Register) -> Register:
        """That of every step, ``[B, T]``."""
        return self.cross_entropy(logits, self.call("unsqueeze", self.hits(), axis=1))

    def square(self, miss: Register) -> Register:
        return self.call("mul", miss, miss)

    def first_step(self) -> Register:
        """The step of the first spike, ``[B, C]``; the last where there is none.

        What flows back goes, with its sign changed, to the spike there. Silence is marked by a half at
        the last step, which is the largest only where nothing fires.
        """
        fired = self.call("greater", self.call("abs", self.signal), self.number(0.0))
        silence = self.down("silence", [0.0] * (self.steps - 1) + [0.5])
        there = self.call("winner", self.call("where", fired, self.number(1.0), silence), axis=0)
        step = self.call("sum", self.call("mul", there, self.down("steps", range(self.steps))), axes=[1])
        slope = self.call("sub", self.signal, self.call("detach", self.signal))  # 0, with a gradient
        return self.call("sub", step, self.call("sum", self.call("mul", there, slope), axes=[1]))

    def scaled(self, value: Register, factor: float) -> Register:
        return value if factor == 1.0 else self.call("mul", value, self.number(factor))

    def reduced(self, values: Register, axes: int) -> Register:
        """The sum of ``[B]``, or with ``axes=2`` of ``[B, classes]``, or the mean, weighted by class."""
        assert isinstance(self.kind, ClassLoss)
        weights = self.kind.class_weights
        if weights is None and self.kind.reduction == "mean":
            return self.call("mean", values)
        samples = None
        if weights is not None:
            table = self.array(f"weights:{weights}", weights)
            samples = self.call("sum", self.call("where", self.hits(), table, self.number(0.0)), axes=[-1])
            spread = samples if axes == 1 else self.call("unsqueeze", samples, axis=-1)
            values = self.call("mul", values, spread)
        total = self.call("total", values)
        if self.kind.reduction == "sum" or samples is None:
            return self.scaled(total, self.parts)  # a sum over the batch, where the others are means
        weight = self.call("total", samples) if self.whole is None else self.call("first", self.whole)
        count = self.scaled(weight, self.size() if axes == 2 else 1)
        return self.call("div", total if self.whole is None else self.scaled(total, self.parts), count)


Rule = Callable[[Reading[Any]], Register]


def _ce_membrane(term: Reading[CEMembrane]) -> Register:
    steps = term.cross_entropies(term.signal)
    return term.call("sum", steps, axes=[1]) if term.kind.over_time == "sum" else term.over_time(steps)


def _ce_max_membrane(term: Reading[CEMaxMembrane]) -> Register:
    """One step after the other: what an operation of its own does at a tie is not said."""
    first, *others = (term.call("step", term.signal, index=step) for step in range(term.steps))
    for other in others:
        first = term.call("where", term.call("greater", other, first), other, first)
    return term.cross_entropy(first)


def _ce_temporal(term: Reading[CETemporal]) -> Register:
    first = term.first_step()
    if term.kind.inverse == "negate":
        return term.cross_entropy(term.call("neg", first))
    return term.cross_entropy(term.call("div", term.number(1.0), term.call("add", first, term.number(1.0))))


def _mse_count(term: Reading[MSECount]) -> Register:
    neurons = term.signal.shape[-1] // term.size()
    right, wrong = (
        floor(term.steps * rate * neurons) for rate in (term.kind.correct_rate, term.kind.incorrect_rate)
    )
    miss = term.call("sub", term.count(), term.wanted(right, wrong))
    return term.call("div", term.square(miss), term.number(term.steps))


def _mse_membrane(term: Reading[MSEMembrane]) -> Register:
    wanted = term.values or term.call("unsqueeze", term.wanted(*term.kind.ends), axis=1)
    return term.over_time(term.square(term.call("sub", term.signal, wanted)))


def _mse_temporal(term: Reading[MSETemporal]) -> Register:
    on, off = (step + term.steps if step < 0 else step for step in term.kind.ends)
    miss = term.call("sub", term.first_step(), term.values or term.wanted(on, off))
    if term.kind.tolerance:
        near = term.call("greater", term.number(term.kind.tolerance), term.call("abs", miss))
        miss = term.call("where", near, term.number(0.0), miss)
    return term.square(term.call("div", miss, term.number(term.steps)))


_FOR_SAMPLES: Final[Mapping[type[ClassLoss], Rule]] = {
    CERate: lambda term: term.over_time(term.cross_entropies(term.grouped())),
    CECount: lambda term: term.cross_entropy(term.count()),
    CEMembrane: _ce_membrane,
    CEMaxMembrane: _ce_max_membrane,
    CETemporal: _ce_temporal,
}
"""Kind of term -> its value for each sample, ``[B]``."""

_FOR_CLASSES: Final[Mapping[type[ClassLoss], Rule]] = {
    MSECount: _mse_count,
    MSEMembrane: _mse_membrane,
    MSETemporal: _mse_temporal,
}
"""Kind of term -> its value for each sample and class, ``[B, classes]``."""


def _reducing(rule: Rule, axes: int) -> Rule:
    return lambda term: term.reduced(rule(term), axes)


LOSSES: Final[Mapping[type[LossKind], Rule]] = {
    **{kind: _reducing(rule, 1) for kind, rule in _FOR_SAMPLES.items()},
    **{kind: _reducing(rule, 2) for kind, rule in _FOR_CLASSES.items()},
    # a sum over the batch, where the others are means
    L1Rate: lambda term: term.scaled(term.call("total", term.signal), term.parts),
}
"""Kind of term -> its value, unweighted."""


def by_weight(kind: LossKind) -> Sequence[float] | None:
    """The weights of classes, where a loss is a mean weighted by them, of which every part of a batch
    has another."""
    return kind.class_weights if isinstance(kind, ClassLoss) and kind.reduction == "mean" else None


def total_name(number: int) -> str:
    """The argument with what a batch weighs, for one term of a loss."""
    return f"total:{number}"


def reads_values(kind: LossKind) -> bool:
    """Whether a term is given the values that are wanted. Who takes class numbers, too, is given those that
    they stand for: what is compiled has one shape."""
    return any(not form.whole for form in kind.takes)


def over_time(kind: LossKind) -> bool:
    """Whether those are ``[B, T, ...]``, not ``[B, ...]``."""
    return any("T" in form.axes for form in kind.takes)


def target_shape(kind: LossKind, steps: int, shape: Shape) -> Shape:
    """A sample's share of the target, where a signal has this shape at every step."""
    if not reads_values(kind):
        return ()
    return (steps, *shape) if over_time(kind) else shape


def values(kind: ValueLoss, form: Form, target: Array, signal: Shape) -> Array:
    """What is wanted, ``[B, T, ...]``; or as steps ``[B, ...]``, negative ones of which count from the end.

    Args:
        signal: the shape of what is read, ``[T, B, ...]``.
    """
    found: Array = wanted(form, target, signal[-1], kind.ends)
    if over_time(kind):
        return np.moveaxis(np.broadcast_to(found, signal), 0, 1)
    return np.where(found < 0, found + signal[0], found)


def target_name(number: int, term: Term) -> str | None:
    """The argument that a term of a loss is compared with: wanted values, its own, or class numbers."""
    if not term.kind.takes:
        return None
    return f"wanted:{number}" if reads_values(term.kind) else f"target:{term.target}"


def lower_loss(
    draft: Draft,
    loss: Loss,
    signals: Mapping[str, Register],
    targets: Mapping[str, Register],
    *,
    steps: int,
    parts: int,
) -> Register:
    """The weighted sum of the terms, left to right, in single precision.

    Args:
        targets: argument, named as `target_name` has it -> its register.
    """
    found = []
    for number, term in enumerate(loss.terms):
        signal = signals[str(term.of)]
        exact = draft.emit("cast", signal, shape=signal.shape, dtype="float32")
        compared = targets.get(target_name(number, term) or "")
        classes, held = (None, compared) if reads_values(term.kind) else (compared, None)
        divided = parts > 1 and by_weight(term.kind) is not None
        whole = Register(total_name(number), fixed=True) if divided else None
        reading = Reading(term.kind, draft, exact, classes, held, steps, parts, whole)
        found.append(reading.scaled(LOSSES[type(term.kind)](reading), term.weight))
    return draft.total(found)
