"""Kinds of loss term -> how they are written. Signals are ``[B, T, C]`` here, class numbers ``[B]``.

Cross-entropy is written out in plain operations. PopTorch marks its own as losses of their own accord,
and what becomes of several of those in one graph is not for a program to depend on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
from snnhw_ipu.sums import OverTime, lengths_name

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
        span: the steps that count.
        parts: in how many parts the device takes a batch; their mean is the loss of the whole.
        whole: what the classes of the whole batch weigh together, ``[B]``, where a part does not know it.
    """

    kind: K_co
    draft: Draft
    signal: Register
    classes: Register | None
    values: Register | None
    span: OverTime
    parts: int
    whole: Register | None

    def call(self, function: str, *operands: Register, **options: Any) -> Register:
        return self.draft.emit(function, *operands, **options)

    def number(self, value: float) -> Register:
        return self.draft.const(value, like=self.signal)

    def array(self, name: str, values: npt.ArrayLike, dtype: type = np.float32) -> Register:
        """As `OverTime.array`."""
        return self.span.array(name, values, dtype)

    def size(self) -> int:
        """How many classes there are."""
        neurons = self.signal.shape[-1]
        return self.kind.classes(neurons) if isinstance(self.kind, ClassLoss) else neurons

    def hits(self) -> Register:
        """``[B, classes]``, true at the right class."""
        assert self.classes is not None
        numbers = self.array(f"classes:{self.size()}", range(self.size()), np.int32)
        return self.call("hits", self.classes, numbers)

    def wanted(self, right: Register, others: Register) -> Register:
        """``[B, classes]``: one number at the right class, another at the others."""
        return self.call("where", self.hits(), right, others)

    def grouped(self) -> Register:
        """The spikes of each class together, ``[B, T, classes]``."""
        neurons, classes = self.signal.shape[-1], self.size()
        if neurons == classes:
            return self.signal
        apart = self.draft.emit("reshape", self.signal, shape=(self.span.steps, classes, neurons // classes))
        return self.call("sum", apart, axes=[-1])

    def count(self) -> Register:
        """Spikes of each class over all time, ``[B, classes]``."""
        return self.span.sum(self.grouped(), 1)

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
        span, signal = self.span, self.span.own(self.signal, 1)
        fired = self.call("greater", self.call("abs", signal), self.number(0.0))
        there = self.call("winner", self.call("where", fired, self.number(1.0), span.last(0.5)), axis=0)
        numbers = span.down("counted", [*range(span.steps)])
        step = self.call("sum", self.call("mul", there, numbers), axes=[1])
        slope = self.call("sub", signal, self.call("detach", signal))  # 0, with a gradient
        return self.call("sub", step, self.call("sum", self.call("mul", there, slope), axes=[1]))

    def scaled(self, value: Register, factor: float) -> Register:
        return value if factor == 1.0 else self.call("mul", value, self.number(factor))

    def reduced(self, values: Register, axes: int) -> Register:
        """The sum of ``[B]``, or with ``axes=2`` of ``[B, classes]``, or the mean, weighted by class."""
        assert isinstance(self.kind, ClassLoss)
        weights, values = self.kind.class_weights, self.span.counted(values, axes - 1)
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
    return term.span.sum(steps, 0) if term.kind.over_time == "sum" else term.span.mean(steps, 0)


def _ce_temporal(term: Reading[CETemporal]) -> Register:
    first = term.first_step()
    if term.kind.inverse == "negate":
        return term.cross_entropy(term.call("neg", first))
    return term.cross_entropy(term.call("div", term.number(1.0), term.call("add", first, term.number(1.0))))


def _mse_count(term: Reading[MSECount]) -> Register:
    neurons = term.signal.shape[-1] // term.size()
    rates = (term.kind.correct_rate, term.kind.incorrect_rate)
    right, wrong = (term.span.share((rate, neurons)) for rate in rates)
    miss = term.call("sub", term.count(), term.wanted(right, wrong))
    return term.call("div", term.square(miss), term.span.duration(1))


def _mse_membrane(term: Reading[MSEMembrane]) -> Register:
    ends = map(term.number, term.kind.ends)
    wanted = term.values or term.call("unsqueeze", term.wanted(*ends), axis=1)
    axes = len(term.signal.shape) - 1
    return term.span.mean(term.square(term.call("sub", term.signal, wanted)), axes)


def _mse_temporal(term: Reading[MSETemporal]) -> Register:
    steps, wanted = term.span.duration(1), term.values
    if wanted is None:
        ends = (
            term.call("add", steps, term.number(step)) if step < 0 else term.number(step)
            for step in term.kind.ends
        )
        wanted = term.wanted(*ends)
    miss = term.call("sub", term.first_step(), wanted)
    if term.kind.tolerance:
        near = term.call("greater", term.number(term.kind.tolerance), term.call("abs", miss))
        miss = term.call("where", near, term.number(0.0), miss)
    return term.square(term.call("div", miss, steps))


_FOR_SAMPLES: Final[Mapping[type[ClassLoss], Rule]] = {
    CERate: lambda term: term.span.mean(term.cross_entropies(term.grouped()), 0),
    CECount: lambda term: term.cross_entropy(term.count()),
    CEMembrane: _ce_membrane,
    CEMaxMembrane: lambda term: term.cross_entropy(term.span.largest(term.signal)),
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
    L1Rate: lambda term: term.scaled(
        term.call("total", term.span.own(term.signal, len(term.signal.shape) - 1)), term.parts
    ),
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


def values(kind: ValueLoss, form: Form, target: Array, signal: Shape, lengths: Array | None = None) -> Array:
    """What is wanted, ``[B, T, ...]``; or as steps ``[B, ...]``, negative ones of which count from the end.

    Args:
        signal: the shape of what is read, ``[T, B, ...]``.
        lengths: the number of steps of each sample, ``[B]``; None: T.
    """
    found: Array = wanted(form, target, signal[-1], kind.ends)
    if over_time(kind):
        return np.moveaxis(np.broadcast_to(found, signal), 0, 1)
    steps = signal[0] if lengths is None else np.maximum(lengths, 1).reshape(-1, *[1] * (found.ndim - 1))
    return np.where(found < 0, found + steps, found)


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
        span = OverTime(draft, exact, steps, targets.get(lengths_name(term) or ""))
        reading = Reading(term.kind, draft, exact, classes, held, span, parts, whole)
        found.append(reading.scaled(LOSSES[type(term.kind)](reading), term.weight))
    return draft.total(found)
