"""The steps of each sample that a loss is about: all of them, or its own first ones."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from snnhw.ir import Term
from snnhw_ipu.recipe import Draft, Register

__all__ = ["LENGTHS", "OverTime", "lengths_name"]

LENGTHS: Final = "lengths:"


def lengths_name(term: Term) -> str | None:
    """The argument with the number of steps of each sample, ``[B]``; None: it reads all of them."""
    return LENGTHS + term.lengths if term.lengths else None


@dataclass(frozen=True)
class OverTime:
    """Sums over time, as they are written.

    Attributes:
        signal: ``[B, T, ...]``, which numbers are like.
        steps: T; lengths: how many of them each sample has, ``[B]``, or None: all of them.
    """

    draft: Draft
    signal: Register
    steps: int
    lengths: Register | None = None

    def call(self, function: str, *operands: Register, **options: Any) -> Register:
        return self.draft.emit(function, *operands, **options)

    def number(self, value: float) -> Register:
        return self.draft.const(value, like=self.signal)

    def array(self, name: str, values: npt.ArrayLike, dtype: type = np.float32) -> Register:
        """Numbers that are known now. The name says all about them: one name, one array."""
        return self.draft.constant(f"#{name}", np.array(values, dtype))

    def own(self, x: Register, axes: int) -> Register:
        """``[B, T, ...]``, of so many axes behind T, with zeros behind the end of each sample."""
        return x if self.lengths is None else self.call("where", self._alive(axes), x, self.number(0.0))

    def sum(self, x: Register, axes: int) -> Register:
        """Over time, ``[B, ...]``."""
        return self.call("sum", self.own(x, axes), axes=[1])

    def mean(self, x: Register, axes: int) -> Register:
        """Over time, ``[B, ...]``."""
        return self.call("div", self.sum(x, axes), self.duration(axes))

    def largest(self, x: Register) -> Register:
        """Over time, of ``[B, T, C]``. One step after the other: what an operation of its own does at a tie
        is not said."""
        first, *others = (self.call("step", x, index=step) for step in range(self.steps))
        for step, other in enumerate(others, 1):
            more = self.call("where", self.call("greater", other, first), other, first)
            if self.lengths is not None:
                there = self._spread(self.call("greater", self._count(), self.number(step)), 1)
                more = self.call("where", there, more, first)
            first = more
        return first

    def duration(self, axes: int) -> Register:
        """The number of steps, ``[B]`` and so many axes of 1; 1 where there are none: nothing counts."""
        if self.lengths is None:
            return self.number(self.steps)
        some = self.call("greater", self._count(), self.number(0.0))
        return self._spread(self.call("where", some, self._count(), self.number(1.0)), axes)

    def share(self, factors: tuple[float, ...]) -> Register:
        """The number of steps times factors, left to right in float64, rounded down: ``[B, 1]``."""

        def of(steps: float) -> int:
            for factor in factors:
                steps *= factor
            return floor(steps)

        if self.lengths is None:
            return self.number(of(self.steps))
        table = self.array(f"shares:{factors}:{self.steps}", [of(steps) for steps in range(self.steps + 1)])
        return self._spread(self._looked_up(self._is_of(range(self.steps + 1)), table), 1)

    def last(self, value: float) -> Register:
        """A number at the last step, and 0 at the others: ``[T, 1]`` or ``[B, T, 1]``."""
        if self.lengths is None:
            return self.down("last", [0.0] * (self.steps - 1) + [value])
        at = self._is_of(range(1, self.steps + 1))
        return self.call("unsqueeze", self.call("where", at, self.number(value), self.number(0.0)), axis=-1)

    def down(self, name: str, values: list[float]) -> Register:
        """One number for each step, ``[T, 1]``."""
        return self.array(f"{name}:{self.steps}", [[value] for value in values])

    def counted(self, x: Register, axes: int) -> Register:
        """``[B]`` and so many axes, zero for samples without steps."""
        if self.lengths is None:
            return x
        some = self.call("greater", self._spread(self._count(), axes), self.number(0.0))
        return self.call("where", some, x, self.number(0.0))

    def _count(self) -> Register:
        assert self.lengths is not None, "who asks has looked"
        return self.call("cast", self.lengths, dtype="float32")

    def _alive(self, axes: int) -> Register:
        steps = self.array(f"steps:{self.steps}", range(self.steps))
        return self._spread(self.call("greater", self._spread(self._count(), 1), steps), axes)

    def _is_of(self, numbers: range) -> Register:
        """Which of these the length is, ``[B, N]``."""
        assert self.lengths is not None, "who asks has looked"
        listed = self.array(f"numbers:{numbers.start}:{numbers.stop}", numbers, np.int32)
        return self.call("hits", self.lengths, listed)

    def _looked_up(self, hits: Register, table: Register) -> Register:
        return self.call("sum", self.call("where", hits, table, self.number(0.0)), axes=[-1])

    def _spread(self, x: Register, axes: int) -> Register:
        """With so many axes of 1 behind it."""
        for _ in range(axes):
            x = self.call("unsqueeze", x, axis=-1)
        return x
