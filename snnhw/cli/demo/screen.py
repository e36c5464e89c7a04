"""What the demo shows: a line for each epoch, and in the end what it made and what to try next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

if TYPE_CHECKING:
    from snnhw.parity.live import Live
    from snnhw.plugin import Backend
    from snnhw.training import Batch, Epoch, Scores

__all__ = ["FILES", "Bar", "begin", "end", "scores"]

FILES: Final = {
    "model.snn": "the trained network: structure, equations and weights; no code",
    "raster.png": "which neuron fires when, for four test images",
    "traces.png": "the membranes behind one answer",
}


def begin(console: Console, plugin: Backend, label: str, train: int, test: int) -> None:
    """What is about to happen, and on what; ``label`` marks what does not come from the real thing."""
    found = plugin.probe()
    where = ", ".join(part for part in (found.device, found.version, label) if part)
    console.print(f"Backend {plugin.name}: {where}", soft_wrap=True)
    console.print(f"Handwritten digits: {train:,} to train on, {test:,} to test on\n")
    console.print("epoch      loss  accuracy  spikes per image", style="bold")


def scores(epoch: Epoch) -> Scores:
    """On the test images."""
    assert epoch.validation is not None, "the demo validates"
    return epoch.validation


class Bar:
    """Lines, and below them, where there is a terminal, a bar that follows every batch."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("     "), BarColumn(), TaskProgressColumn())
        self._progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._progress.add_task("", total=None)

    def tick(self, batch: Batch) -> None:
        """One batch is done."""
        assert batch.batches is not None, "images are counted"
        done = (batch.epoch - 1) * batch.batches + batch.number
        self._progress.update(self._task, completed=done, total=batch.batches * batch.epochs)

    def line(self, epoch: Epoch) -> None:
        """One epoch is done."""
        found = scores(epoch)
        text = f"{epoch.number:5d}  {epoch.loss:8.4f}  {found.accuracy:8.1%}  {found.spikes:16.1f}"
        self._progress.console.print(text)

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


def end(
    console: Console, backend: str, last: Epoch, found: Mapping[str, Live], files: Sequence[Path]
) -> None:
    """What was found and made, and where to go from here, on ``backend`` with its options."""
    _rows(
        console,
        {
            "accuracy": f"{scores(last).accuracy:.1%} of the test images",
            **{f"reference, on {what}": _in_words(live) for what, live in found.items()},
            **{str(file): FILES[file.name] for file in files},
        },
    )
    console.print("\nTry next:", style="bold")
    trained = files[0]
    _rows(
        console,
        {
            f"snnhw inspect {trained}": "what the file holds",
            f"snnhw explain {trained} --backend {backend}": "how the backend runs it",
            f"snnhw conformance {backend}": "everything the backend promises, checked",
        },
    )


def _rows(console: Console, rows: dict[str, str]) -> None:
    """Two columns, never folded: paths and commands are there to be copied."""
    width = max(map(len, rows))
    for left, right in rows.items():
        console.print(f"  {left:{width}}  {right}", soft_wrap=True)


def _in_words(live: Live) -> str:
    parity = live.parity
    differing = parity.spike_mismatches
    if live.is_reference:
        return "it ran there"
    if not differing:
        return f"all {parity.spikes_compared:,} spikes equal"
    return (
        f"{differing:,} of {parity.spikes_compared:,} spikes differ: {parity.excused_near_threshold:,} lie "
        f"within rounding of the threshold, {parity.unexplained_mismatches:,} are unexplained"
    )
