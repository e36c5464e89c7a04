"""The loop: batches, steps, and what is done between them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any

from snnhw.nn import Model
from snnhw.training.checkpoints import Checkpoints
from snnhw.training.history import Batch, Epoch, History
from snnhw.training.run import TrainingRun, folder
from snnhw.training.schedules import Constant, LRSchedule
from snnhw.training.screen import shown
from snnhw.training.stopping import signals_heard

__all__ = ["fit"]


def fit(
    model: Model,
    data: Iterable[Any],
    *,
    epochs: int,
    validate: Iterable[Any] | None = None,
    schedule: LRSchedule | None = None,
    checkpoint: Checkpoints | str | os.PathLike[str] | None = None,
    resume: bool | str | os.PathLike[str] = False,
    log: Callable[[Epoch], object] | None = None,
    progress: bool | Callable[[Batch], object] = True,
    patience: int | None = None,
    monitor: str = "loss",
) -> History:
    """Train a compiled model, and say what came of each epoch.

    Args:
        model: compiled with a loss and an optimizer; also with ``clip_norm`` and ``accumulate``, where they
            are wanted.
        data: an iterable of batches ``(x, y)``, such as a `torch.utils.data.DataLoader`, gone through once an
            epoch; ``x`` and ``y`` as for ``Model.step``: time first, ``[T, B, ...]``. Of a model that was
            compiled with ``lengths=True`` also ``(x, y, lengths)``.
        epochs: how many in all, those of a run that is resumed included.
        validate: batches to score the model on after every epoch.
        schedule: of the learning rate; None: constant.
        checkpoint: a folder, or `Checkpoints`, which say how often and how many. With it, SIGINT and SIGTERM
            are noted: the step ends, all is saved, and `Stopped` is raised.
        resume: go on from the newest checkpoint of the folder, where there is one; or the file to go on from.
            The run is then, in every bit, the one that never stopped.
        log: called with every `Epoch`.
        progress: a bar, where there is a terminal; or what to call with every `Batch`.
        patience: end when so many epochs in a row were no better than the best; None: never.
        monitor: what is better: ``loss``, of the validation where there is one, or ``accuracy``.

    Raises:
        InputError: arguments or batches that do not fit, or values that are not finite; says in which batch.
        LoadError: a checkpoint that cannot be read; says which one can.
        OSError: a checkpoint cannot be written; says which one stands.
        Stopped: a signal has come; a `KeyboardInterrupt`.
    """
    to = folder(checkpoint)
    run = TrainingRun(model, data, epochs, validate, schedule or Constant(), to, patience, monitor)
    position, saved = run.begun(resume)
    with (
        signals_heard(wanted=to is not None) as stop,
        shown(progress if not run.ranks.rank else False) as screen,
    ):
        while not (ended := run.ended(position)):
            start = run.start(saved)
            clock = perf_counter() - position.seconds
            for batch in run.left(position, saved, stop):
                position, done = run.step(position, batch, clock)
                screen.batch(done)
                if run.due(position):
                    run.save(position, start)
            if stop.agreed:
                raise run.stopped(position, start, stop.agreed)
            position, saved = run.closed(position), None
            screen.epoch(position.epochs[-1])
            if log is not None and not run.ranks.rank:
                log(position.epochs[-1])
            run.save_epoch(position)
        stop.agree(run.ranks)
        if stop.agreed:
            raise run.stopped(position, run.random(), stop.agreed)
    return History(position.epochs, ended, monitor)
