"""Learning rates over a run, as values.

A schedule is a pure function of how many updates there have been and of the epochs so far, so that a run
that is resumed needs nothing of it. What it gives is a factor of the learning rate that the model was
compiled with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from math import cos, inf, pi
from typing import Any, Final

from snnhw.errors import InputError
from snnhw.training.history import Epoch, monitored
from snnhw.words import brief

__all__ = [
    "SCHEDULES",
    "Constant",
    "Cosine",
    "LRSchedule",
    "Plateau",
    "StepDown",
    "Then",
    "WarmUp",
    "When",
]


@dataclass(frozen=True)
class When:
    """Where in a run an update is.

    Attributes:
        updates: that have been made before it.
        epochs: that have ended before it.
        total: updates of the whole run; None where the length of the data is not known.
    """

    updates: int
    epochs: tuple[Epoch, ...] = ()
    total: int | None = None


@dataclass(frozen=True)
class LRSchedule:
    """Base of the schedules; subclasses are frozen dataclasses of plain values."""

    def factor(self, when: When) -> float:
        """What the learning rate is multiplied by, for the update then."""
        raise NotImplementedError

    @property
    def length(self) -> int | None:
        """After how many updates it stays as it is; None: that is not known."""
        return None

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name in ACCEPTED:
                accepted, fits = ACCEPTED[item.name]
                if not fits(value):
                    raise InputError(f"{type(self).__name__}({item.name}={brief(value)}): give {accepted}")


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < inf


ACCEPTED: Final[dict[str, tuple[str, Callable[[Any], bool]]]] = {
    "updates": ("a whole number above 0", lambda value: value is None or _whole(value)),
    "every": ("a whole number of epochs, above 0", _whole),
    "patience": ("a whole number of epochs, above 0", _whole),
    **dict.fromkeys(("start", "end", "gamma", "threshold", "least"), ("a finite number, 0 or more", _number)),
}
"""Attribute of a schedule -> what is accepted, in words and as a function."""


@dataclass(frozen=True)
class Constant(LRSchedule):
    """The learning rate as it is."""

    def factor(self, when: When) -> float:
        return 1.0


@dataclass(frozen=True)
class WarmUp(LRSchedule):
    """Rises in a straight line from ``start``, and is 1 from update number ``updates`` on (counted from
    1)."""

    updates: int = 100
    start: float = 0.0

    def factor(self, when: When) -> float:
        done = min(when.updates + 1, self.updates) / self.updates
        return self.start + (1 - self.start) * done

    @property
    def length(self) -> int:
        return self.updates

    def then(self, other: LRSchedule) -> Then:
        """Another schedule from there on, which counts its updates from there."""
        return Then(self, other)


@dataclass(frozen=True)
class Cosine(LRSchedule):
    """Falls from 1 to ``end`` in half a cosine: ``end + (1 - end) (1 + cos(pi u / updates)) / 2``, and stays
    there.

    ``updates`` None: over all of the run, which needs data of known length.

    Source: I. Loshchilov, F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017.
    """

    updates: int | None = None
    end: float = 0.0

    def factor(self, when: When) -> float:
        length = self.updates or when.total
        if length is None:
            raise InputError(
                "Cosine() lasts as long as the data, which has no length; give Cosine(updates=...)"
            )
        return self.end + (1 - self.end) * (1 + cos(pi * min(when.updates / length, 1.0))) / 2


@dataclass(frozen=True)
class StepDown(LRSchedule):
    """Is multiplied by ``gamma`` after every so many epochs."""

    every: int = 30
    gamma: float = 0.1

    def factor(self, when: When) -> float:
        return float(self.gamma ** (len(when.epochs) // self.every))


@dataclass(frozen=True)
class Plateau(LRSchedule):
    """Is multiplied by ``gamma`` when what is monitored has not become better for more than ``patience``
    epochs.

    As torch's ``ReduceLROnPlateau``: better is lower by more than a share of ``threshold``.

    Attributes:
        monitor: ``loss``, of the validation where there is one, or ``accuracy``.
        least: no factor is below it.
    """

    patience: int = 10
    gamma: float = 0.1
    threshold: float = 1e-4
    least: float = 0.0
    monitor: str = "loss"

    def __post_init__(self) -> None:
        super().__post_init__()
        monitored(self.monitor)

    def factor(self, when: When) -> float:
        found, best, waited = 1.0, inf, 0
        for value in map(monitored(self.monitor), when.epochs):
            better = value < best - self.threshold * abs(best) if best < inf else True
            best, waited = (value, 0) if better else (best, waited + 1)
            if waited > self.patience:
                found, waited = max(found * self.gamma, self.least), 0
        return found


@dataclass(frozen=True)
class Then(LRSchedule):
    """One schedule after another, as `WarmUp.then` makes it."""

    first: WarmUp
    second: LRSchedule

    def factor(self, when: When) -> float:
        begun = when.updates - self.first.updates
        if begun < 0:
            return self.first.factor(when)
        left = None if when.total is None else max(when.total - self.first.updates, 1)
        return self.second.factor(replace(when, updates=begun, total=left))


SCHEDULES: Final[dict[str, type[LRSchedule]]] = {
    each.__name__: each for each in (Constant, WarmUp, Cosine, StepDown, Plateau)
}
"""Every schedule by its class name."""
