"""What training has come to: values that a loop makes, and that schedules, logs and checkpoints read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from snnhw.errors import InputError

__all__ = ["MONITORS", "Batch", "Epoch", "History", "Scores", "improved", "monitored"]


@dataclass(frozen=True)
class Scores:
    """How a network does on data that it is not trained on.

    Attributes:
        loss: mean over the samples.
        accuracy: share of the samples whose class is found; None where targets are no class numbers.
        spikes: mean per sample, of all neurons whose spikes are returned or recorded, over all steps.
        samples: how many there were.
    """

    loss: float
    accuracy: float | None
    spikes: float
    samples: int


@dataclass(frozen=True)
class Epoch:
    """One time through the data.

    Attributes:
        number: from 1 on.
        steps: calls of ``Model.step`` in the whole run so far.
        lr: learning rate of the last of them.
        loss: mean over the epoch's samples, each before the update that it led to.
        samples: of this epoch; seconds: that training on them took.
        validation: scores after it, where there is data to validate on.
    """

    number: int
    steps: int
    lr: float
    loss: float
    samples: int
    seconds: float
    validation: Scores | None = None

    @property
    def samples_per_second(self) -> float:
        return self.samples / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Batch:
    """One batch, just trained on: for whoever shows progress.

    Attributes:
        epoch: which one, from 1 on, of ``epochs``.
        number: of the batch in its epoch, from 1 on, of ``batches``; None: nobody knows how many there are.
        loss: before the update; on a device, whoever asks for its value waits for it.
        outputs: the network's first, ``[T, B, ...]``; targets: what it was compared with.
        samples: B; seconds: since the epoch began, and ``trained`` samples since then.
    """

    epoch: int
    epochs: int
    number: int
    batches: int | None
    loss: Any
    outputs: Any
    targets: Any
    samples: int
    seconds: float
    trained: int


def _loss(epoch: Epoch) -> float:
    return epoch.validation.loss if epoch.validation else epoch.loss


def _accuracy(epoch: Epoch) -> float:
    if epoch.validation is None or epoch.validation.accuracy is None:
        raise InputError(
            "monitor='accuracy' needs accuracies, which there are of class numbers alone; monitor the loss"
        )
    return -epoch.validation.accuracy


MONITORS: Final[Mapping[str, Callable[[Epoch], float]]] = {"loss": _loss, "accuracy": _accuracy}
"""What decides whether an epoch is better than another: name -> a number that is lower the better. The loss
is that of the validation, where there is one."""


def monitored(name: str) -> Callable[[Epoch], float]:
    """A row of `MONITORS`; `InputError` for a name that is none."""
    if name not in MONITORS:
        raise InputError(f"monitor={name!r}; accepted: {', '.join(MONITORS)}")
    return MONITORS[name]


def improved(epochs: tuple[Epoch, ...], monitor: str) -> int:
    """The index of the best epoch, the first of several; -1 where there is none."""
    values = [*map(monitored(monitor), epochs)]
    return values.index(min(values)) if values else -1


@dataclass(frozen=True)
class History:
    """A whole run.

    Attributes:
        epochs: what came of each.
        ended: why there are no more, in words.
        monitor: what `best` goes by: ``loss`` or ``accuracy``.
    """

    epochs: tuple[Epoch, ...]
    ended: str
    monitor: str = "loss"

    @property
    def last(self) -> Epoch:
        return self.epochs[-1]

    @property
    def best(self) -> Epoch:
        return self.epochs[improved(self.epochs, self.monitor)]
