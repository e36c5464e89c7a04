"""Kinds of loss term -> how they are written. Signals are ``[B, T, C]`` here, class numbers ``[B]``.

Cross-entropy is written out in plain operations. PopTorch marks its own as losses of their own accord,
and what becomes of several of those in one graph is not for a program to depend on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import floor
from typing import Any, Final, Generic, TypeVar

import numpy as np

from snnhw.ir import CECount, CEMembrane, CERate, L1Rate, Loss, LossKind, MSECount
from snnhw_ipu.recipe import Draft, Register

__all__ = ["LOSSES", "Reading", "lower_loss"]

K_co = TypeVar("K_co", bound=LossKind, covariant=True)


@dataclass(frozen=True)
class Reading(Generic[K_co]):
    """A loss term that is being written.

    Attributes:
        signal: ``[B, T, ...]``; classes: class numbers ``[B]``, when the term has a target.
        steps: T.
        parts: in how many parts the device takes a batch; their mean is the loss of the whole.
    """

    kind: K_co
    draft: Draft
    signal: Register
    classes: Register | None
    steps: int
    parts: int

    def call(self, function: str, *operands: Register, **options: Any) -> Register:
        return self.draft.emit(function, *operands, **options)

    def number(self, value: float) -> Register:
        return self.draft.const(value, like=self.signal)

    def count(self) -> Register:
        """Sum over time, ``[B, C]``."""
        return self.call("sum", self.signal, axes=[1])

    def hits(self) -> Register:
        """``[B, C]``, true at the right class."""
        assert self.classes is not None
        size = self.signal.shape[-1]
        numbers = self.draft.constant(f"#classes:{size}", np.arange(size, dtype=np.int32))
        return self.call("hits", self.classes, numbers)

    def cross_entropy(self, logits: Register, hits: Register) -> Register:
        """Mean of ``-log softmax(logits)`` at the right class, over everything but classes."""
        chosen = self.call("where", hits, self.call("log_softmax", logits), self.number(0.0))
        return self.call("neg", self.call("mean", self.call("sum", chosen, axes=[-1])))

    def cross_entropy_over_time(self) -> Register:
        return self.cross_entropy(self.signal, self.call("unsqueeze", self.hits(), axis=1))

    def scaled(self, value: Register, factor: float) -> Register:
        return value if factor == 1.0 else self.call("mul", value, self.number(factor))


Rule = Callable[[Reading[Any]], Register]


def _ce_membrane(term: Reading[CEMembrane]) -> Register:
    return term.scaled(term.cross_entropy_over_time(), term.steps if term.kind.over_time == "sum" else 1.0)


def _mse_count(term: Reading[MSECount]) -> Register:
    right, wrong = (floor(term.steps * rate) for rate in (term.kind.correct_rate, term.kind.incorrect_rate))
    wanted = term.call("where", term.hits(), term.number(right), term.number(wrong))
    miss = term.call("sub", term.count(), wanted)
    return term.call("div", term.call("mean", term.call("mul", miss, miss)), term.number(term.steps))


LOSSES: Final[Mapping[type[LossKind], Rule]] = {
    CERate: lambda term: term.cross_entropy_over_time(),
    CECount: lambda term: term.cross_entropy(term.count(), term.hits()),
    CEMembrane: _ce_membrane,
    MSECount: _mse_count,
    # a sum over the batch, where the others are means
    L1Rate: lambda term: term.scaled(term.call("total", term.signal), term.parts),
}
"""Kind of term -> its value, unweighted."""


def lower_loss(
    draft: Draft,
    loss: Loss,
    signals: Mapping[str, Register],
    targets: Mapping[str, Register],
    *,
    steps: int,
    parts: int,
) -> Register:
    """The weighted sum of the terms, left to right, in single precision."""
    values = []
    for term in loss.terms:
        signal = signals[str(term.of)]
        exact = draft.emit("cast", signal, shape=signal.shape, dtype="float32")
        classes = targets[term.target] if term.kind.target == "class" else None
        reading = Reading(term.kind, draft, exact, classes, steps, parts)
        values.append(reading.scaled(LOSSES[type(term.kind)](reading), term.weight))
    return draft.total(values)
