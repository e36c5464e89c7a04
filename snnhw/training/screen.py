"""What training shows of itself on a terminal; nothing elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from snnhw.training.history import Batch, Epoch

__all__ = ["HEADING", "Screen", "line", "shown"]

PER_SECOND: Final = 8
"""How often a number is asked for, which may have to be waited for."""

HEADING: Final = "epoch      loss  validation  accuracy  spikes/sample  samples/s"


def line(epoch: Epoch) -> str:
    """An epoch in a row under `HEADING`."""
    found = epoch.validation
    loss = "-" if found is None else f"{found.loss:.4f}"
    accuracy = "-" if found is None or found.accuracy is None else f"{found.accuracy:.1%}"
    spikes = "-" if found is None else f"{found.spikes:.1f}"
    head = f"{epoch.number:5d}  {epoch.loss:8.4f}"
    return f"{head}  {loss:>10}  {accuracy:>8}  {spikes:>13}  {epoch.samples_per_second:9,.0f}"


@dataclass(frozen=True)
class Screen:
    """Whom to tell of each batch and each epoch."""

    batch: Callable[[Batch], object]
    epoch: Callable[[Epoch], object]


def _nothing(_: object) -> None:
    pass


@contextmanager
def shown(progress: bool | Callable[[Batch], object]) -> Iterator[Screen]:
    """A bar, and a line for each epoch, while training goes on.

    Args:
        progress: whether, where stderr is a terminal; or what to call with every batch instead.
    """
    console = Console(stderr=True, markup=False, highlight=False, emoji=False)
    if callable(progress):
        yield Screen(progress, _nothing)
    elif not progress or not console.is_terminal:
        yield Screen(_nothing, _nothing)
    else:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"))
        with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
            console.print(HEADING, style="bold")
            yield Screen(_followed(bar), lambda epoch: bar.console.print(line(epoch)))


def _followed(bar: Progress) -> Callable[[Batch], object]:
    """What moves a bar on, and asks for numbers now and then."""
    task = bar.add_task("", total=None, told="")
    last = 0.0

    def tick(batch: Batch) -> None:
        nonlocal last
        done, total = batch.number, None
        if batch.batches is not None:
            done, total = done + (batch.epoch - 1) * batch.batches, batch.batches * batch.epochs
        bar.update(task, completed=done, total=total)
        now = perf_counter()
        if now - last >= 1 / PER_SECOND:
            last = now
            of = "" if batch.batches is None else f"/{batch.batches}"
            where = f"epoch {batch.epoch}/{batch.epochs}, batch {batch.number}{of}"
            bar.update(task, description=where, told=told(batch))

    return tick


def told(batch: Batch) -> str:
    """The numbers of a batch."""
    parts = [f"loss {float(batch.loss):.4f}"]
    spikes = batch.outputs
    if bool(((spikes == 0) | (spikes == 1)).all()):
        parts.append(f"{float(spikes.sum()) / batch.samples:.1f} spikes/sample")
    return ", ".join([*parts, f"{batch.trained / batch.seconds:,.0f} samples/s"])
