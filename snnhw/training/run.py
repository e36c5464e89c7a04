"""What a loop over batches does with a model, one piece at a time."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import isfinite
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from torch import Tensor

from snnhw.errors import InputError, LoadError
from snnhw.nn import Model
from snnhw.plugin import Ranks
from snnhw.session.ranks import ALONE
from snnhw.training.checkpoints import Checkpoints, Position, Saved, begin, load, save, save_best, stands
from snnhw.training.evaluation import evaluate, trained
from snnhw.training.feed import check_data, counted, length_of, new_epoch
from snnhw.training.history import Batch, Epoch, improved, monitored
from snnhw.training.randomness import States, drawn_from, restore, states
from snnhw.training.schedules import LRSchedule, When
from snnhw.training.sharing import NOTHING, OwnPart, by_first, own_of, part_of
from snnhw.training.stopping import Stop, Stopped
from snnhw.words import brief

__all__ = ["TrainingRun", "folder"]

END: Final = object()


def folder(checkpoint: Checkpoints | str | os.PathLike[str] | None) -> Checkpoints | None:
    """A folder's name stands for its usual settings."""
    return (
        checkpoint if checkpoint is None or isinstance(checkpoint, Checkpoints) else Checkpoints(checkpoint)
    )


@dataclass(frozen=True)
class TrainingRun:
    """What stays the same from the first batch to the last: arguments of `snnhw.training.fit`, checked."""

    model: Model
    data: Iterable[Any]
    epochs: int
    validate: Iterable[Any] | None
    schedule: LRSchedule
    to: Checkpoints | None
    patience: int | None
    monitor: str

    def __post_init__(self) -> None:
        for name, value in (("epochs", self.epochs), ("patience", self.patience)):
            none = value is None and name == "patience"
            if not none and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise InputError(f"{name}={brief(value)}; accepted: a whole number above 0")
        if not isinstance(self.schedule, LRSchedule):
            raise InputError(
                f"schedule is {brief(self.schedule)}; accepted: a value such as snnhw.training.Cosine()"
            )
        monitored(self.monitor)
        trained(self.model)
        check_data(self.data)
        if self.validate is not None:
            check_data(self.validate, "validate")
        elif self.monitor == "accuracy":
            raise InputError("monitor='accuracy' needs validate=, data to find it on; or monitor the loss")

    @property
    def ranks(self) -> Ranks:
        """The processes that train together."""
        return trained(self.model).ranks or ALONE

    @cached_property
    def part(self) -> OwnPart:
        """Of the data, this rank's."""
        return part_of(self.data, self.ranks)

    # -- where it begins and ends ---------------------------------------------------------------------

    def begun(self, resume: bool | str | os.PathLike[str]) -> tuple[Position, Saved | None]:
        """Where the run stands, and what it goes on from where it was saved."""
        if self.to is None:
            if resume is not False:
                raise InputError(f"resume={resume!r} needs a folder to go on from; give checkpoint=")
            return Position(), None
        to = self.to
        path = by_first(self.ranks, lambda: begin(to, resume))
        if path is None:
            self.save(Position(), self.random())  # what cannot be written ends here
            return Position(), None
        saved = load(self.model, path)
        self._set(saved.begin, path)
        return saved.position, saved

    def ended(self, position: Position) -> str:
        """Why there is no further epoch, in words; "" where there is."""
        done = len(position.epochs)
        if position.batches:
            return ""
        if done >= self.epochs:
            return f"{done} epochs are done"
        waited = done - 1 - improved(position.epochs, self.monitor)
        if self.patience is not None and done and waited >= self.patience:
            return f"{self.monitor} has not become better for {waited} epochs"
        return ""

    # -- an epoch ---------------------------------------------------------------------------------------

    def start(self, saved: Saved | None) -> States:
        """The random states that an epoch begins with, on all ranks: they draw the same order."""
        if saved is not None:
            return saved.begin
        start: States = self.ranks.first(self.random())
        if self.ranks.rank:
            self._set(start)
        return start

    def left(self, position: Position, saved: Saved | None, stop: Stop) -> Iterator[tuple[Any, int]]:
        """The batches that are left of an epoch, and how many samples of each all ranks have. Those that a
        run has had are gone through once more, as random numbers may be drawn for them."""
        new_epoch(self.data, len(position.epochs))
        batches = iter(self.part.batches)
        for number in range(position.batches):
            if next(batches, END) is END:
                raise InputError(
                    f"data gives {number} batches in epoch {len(position.epochs) + 1}, of which the "
                    f"checkpoint has seen {position.batches}: it is not the data of the run that was saved"
                )
        if saved is not None and position.batches and not self.ranks.rank:
            self._set(saved.random)  # rank 0's; others have come to their own
        number = position.batches
        while not stop.agreed:
            number += 1
            try:
                batch = next(batches, END)
            except Exception:
                if not stop.signal:  # which also ended the processes that load data
                    raise
                batch = END
            where = _where(position, number - position.batches)
            own = NOTHING if batch is END else own_of(self.model, self.part, batch, where)
            total = stop.agree(self.ranks, self._count(own))
            if not total:
                return
            yield own, total
            if self.ranks.size == 1:
                stop.agree(self.ranks)

    def _count(self, own: tuple[Any, ...]) -> int:
        """How many samples a rank has; one alone only says that there are some."""
        if not own or self.ranks.size == 1:
            return len(own)
        return counted(self.model.program, own[0])

    def step(self, position: Position, batch: tuple[Any, int], clock: float) -> tuple[Position, Batch]:
        """One batch: where the run stands after it, and what is shown of it; ``clock``: when the epoch would
        have begun, had it never stopped."""
        where, (own, total) = _where(position, 1), batch
        x, y, lengths = own or ({}, {}, None)
        rate = self._rate(position)
        if rate != position.lr:
            self.model.set_optimizer(replace(trained(self.model).optimizer, lr=rate))
        try:
            loss, outputs = self.model.step(x, y, lengths=lengths)
        except InputError as error:
            raise InputError(f"{where}: {error}{self._stands()}") from error
        first = outputs[0] if isinstance(outputs, tuple) else outputs
        here = int(first.shape[1])
        count = here if self.ranks.size == 1 else total
        # On a device the sum stays there: whoever asks for its value waits.
        total = position.loss + (loss.double() if isinstance(loss, Tensor) else float(loss)) * count
        after = Position(
            position.epochs,
            position.steps + 1,
            position.batches + 1,
            total,
            position.samples + count,
            perf_counter() - clock,
            rate,
        )
        number = len(position.epochs) + 1
        shown: tuple[Any, ...] = (
            after.batches,
            length_of(self.data),
            loss,
            first,
            y,
            here,
            after.seconds,
            after.samples,
        )
        return after, Batch(number, self.epochs, *shown)

    def _rate(self, position: Position) -> float:
        job, length = trained(self.model), length_of(self.data)
        total = None if length is None else max(length * self.epochs // job.accumulate, 1)
        when = When(position.steps // job.accumulate, position.epochs, total)
        return job.optimizer.lr * self.schedule.factor(when)

    def closed(self, position: Position) -> Position:
        """An epoch has ended: what came of it, and how the model does now."""
        if not position.samples:
            raise InputError(
                "data gives no batch; a DataLoader with drop_last=True gives none where there are fewer "
                "samples than its batch_size"
            )
        self._check_finite(position)
        assert position.lr is not None, "there was a step"
        epoch = Epoch(
            len(position.epochs) + 1,
            position.steps,
            position.lr,
            float(position.loss) / position.samples,
            position.samples,
            position.seconds,
            None if self.validate is None else evaluate(self.model, self.validate),
        )
        monitored(self.monitor)(epoch)  # which it may lack
        return Position((*position.epochs, epoch), position.steps, lr=position.lr)

    # -- saving -------------------------------------------------------------------------------------------

    def random(self) -> States:
        """The states of all generators, now."""
        return states(drawn_from(self.data))

    def _set(self, found: States, path: Path | None = None) -> None:
        try:
            restore(drawn_from(self.data), found)
        except LoadError as error:
            name = path or (self.to.path if self.to else "")
            raise LoadError(f"cannot go on from '{name}': {error}") from error

    def due(self, position: Position) -> bool:
        """Whether it is time to save within an epoch."""
        every = self.to.every if self.to else None
        return every is not None and position.batches % every == 0

    def save(self, position: Position, start: States) -> Path:
        """Write a checkpoint; ``start``: the random states when the epoch began."""
        assert self.to is not None, "who saves has a folder"
        self._check_finite(position)
        to, saved = self.to, Saved(position, self.random(), start)
        return by_first(self.ranks, lambda: save(self.model, to, saved))

    def save_epoch(self, position: Position) -> None:
        """Write what there is to write at the end of an epoch."""
        if self.to is None:
            return
        to, now = self.to, self.random()
        saved = Saved(position, now, now)

        def written() -> None:
            if to.best and improved(position.epochs, self.monitor) == len(position.epochs) - 1:
                save_best(self.model, to, saved)
            save(self.model, to, saved)

        by_first(self.ranks, written)

    def stopped(self, position: Position, start: States, number: int) -> Stopped:
        """What is raised for a signal, with everything saved."""
        path = self.save(position, start)
        name = signal.Signals(number).name
        return Stopped(
            f"stopped by {name} after {_where(position)}; '{path}' holds all of it, and resume=True goes "
            "on from there",
            number,
            str(path),
        )

    def _check_finite(self, position: Position) -> None:
        """Of a loss on a device, which nobody has looked at before."""
        if not isfinite(float(position.loss)):
            raise InputError(
                f"the loss is {float(position.loss)} by {_where(position)}: a lower learning rate, or "
                f"clip_norm, keeps it finite{self._stands()}"
            )

    def _stands(self) -> str:
        return stands(self.to.path) if self.to else ""


def _where(position: Position, further: int = 0) -> str:
    return f"batch {position.batches + further} of epoch {len(position.epochs) + 1}"
