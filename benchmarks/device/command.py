"""``python -m benchmarks.device --minutes 8``: whether it is right on this GPU, and how fast."""

from __future__ import annotations

import os
import signal
from importlib.util import find_spec
from pathlib import Path
from time import monotonic
from typing import Annotated, Any, Final

import torch
import typer

from benchmarks import report
from benchmarks.device import tasks
from benchmarks.device.crew import Crew, Row
from benchmarks.device.record import MARKERS, Record
from benchmarks.device.tasks import Task
from benchmarks.device.worker import PLACES
from snnhw import registry
from snnhw.plugin import BACKENDS

__all__ = ["app"]

BEGUN: Final = monotonic()

INSTALL: Final = "pip install --no-deps --no-build-isolation -e ."
"""Leaves the torch that is there, also one below the release that snnhw asks for."""

QUICK, MODULES, CASES = 0.2, 0.3, 0.45
"""Shares of the time, at whose end the quick cases, eager modules, and the other cases give way."""

LIMIT: Final = 90.0
"""Seconds of one task; a GPU that takes longer hangs."""

PATIENCE: Final = 300.0
"""The same of the interpreter, which takes its time."""

SPARE: Final = 4.0
"""Seconds at the end, to write."""

WRITTEN: Final = 2.0
"""Seconds between two times that cases of conformance are written; rows are written at once."""

MOST: Final = 12
"""Workers on conformance at most, each with a context on the GPU."""

STAGES: Final = ("conformance", "modules")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    *,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="WHAT", help="conformance, modules, or workloads; none: all.", show_default=False
        ),
    ] = None,
    minutes: Annotated[float, typer.Option(min=0.1, help="In all.")] = 8.0,
    json_file: Annotated[
        Path, typer.Option("--json", dir_okay=False, help="Written after every row.")
    ] = Path("device.json"),
    markdown: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Put tables between this page's device markers.")
    ] = None,
    peer: Annotated[
        str,
        typer.Option("--peers", metavar="NAMES", help="Separated by commas; none: all that are installed."),
    ] = "",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes on conformance; by default one for each core.")
    ] = None,
    interpret: Annotated[
        bool, typer.Option("--interpret", help="In Triton's interpreter, also where there is a GPU.")
    ] = False,
) -> None:
    """Hold snnhw's CUDA backend to the reference and to snnTorch on this GPU, then time it beside its peers.

    Without a GPU, everything runs in Triton's interpreter, in tiny sizes, and says so.

    Ends with status 1 when a result is not the same.
    """
    if "cuda" not in registry.names(BACKENDS):
        raise typer.BadParameter(f"snnhw is not installed here. To mend it: {INSTALL}")
    place = "cuda" if torch.cuda.is_available() and not interpret else "interpreted"
    record = Record(PLACES[place].warning, minutes)
    signal.signal(signal.SIGTERM, _interrupted)
    run = Run(
        record, json_file, place, workers or min(os.cpu_count() or 1, MOST), BEGUN + 60 * minutes - SPARE
    )
    try:
        run.all(names or [], {name for name in peer.split(",") if name})
        record.finished = True
    except KeyboardInterrupt:
        typer.echo("interrupted: what is there stands in the file")
    record.write(json_file)
    if markdown:
        report.update_page(markdown, record.as_markdown(), MARKERS)
    typer.echo(
        f"{(monotonic() - BEGUN):.0f} s; {len(record.wrong)} not as they should be: {record.wrong[:20]}"
    )
    if record.wrong:
        raise typer.Exit(1)


class Run:
    """One stage after the other, until a time of `time.monotonic`."""

    def __init__(self, record: Record, file: Path, place: str, workers: int, until: float) -> None:
        self.record, self.file, self.until = record, file, until
        self.tiny = place == "interpreted"
        limit = PATIENCE if self.tiny else LIMIT
        self.many = Crew(place, workers, limit, self._found)
        self.alone = Crew(place, 1, limit, self._found, 1 if self.tiny else os.cpu_count() or 1)
        self._written = 0.0

    def all(self, names: list[str], peers: set[str]) -> None:
        """Raises `typer.BadParameter` for what does not exist."""
        rows = _chosen(tasks.rows(tiny=self.tiny), names, peers)
        wanted = set(names or STAGES)
        self._do(self.alone, [Task("machine")], 1.0)
        quick, rest = tasks.cases_of_conformance() if "conformance" in wanted else ((), ())
        self.record.wanted = len(quick) + len(rest)
        self._do(self.many, quick, QUICK)
        self._do(
            self.alone, tasks.modules() if "modules" in wanted and find_spec("snntorch") else (), MODULES
        )
        left = self.many.do(rest, self._at(CASES))
        self._do(self.alone, rows, 1.0)
        self._do(self.many, left, 1.0)

    def _do(self, crew: Crew, what: Any, share: float) -> None:
        left = crew.do(what, self._at(share))
        self.record.not_reached += [task.title for task in left]

    def _at(self, share: float) -> float:
        return BEGUN + share * (self.until - BEGUN)

    def _found(self, task: Task, row: Row) -> None:
        line = self.record.add(task, row)
        if line:
            typer.echo(f"[{monotonic() - BEGUN:.0f} s] {line}")
        if task.kind != "case" or monotonic() - self._written > WRITTEN:
            self.record.write(self.file)
            self._written = monotonic()


def _chosen(rows: tuple[Task, ...], names: list[str], peers: set[str]) -> list[Task]:
    """Rows of the named workloads and peers; peers that are not installed are left out by name."""
    workloads = {task.name.split()[0] for task in rows}
    unknown = sorted({*names} - {*STAGES} - workloads)
    if unknown:
        known = ", ".join([*STAGES, *sorted(workloads, key=lambda name: (len(name), name))])
        raise typer.BadParameter(f"there is no {', '.join(unknown)}; known: {known}")
    there = {peer.name for peer in tasks.peers_there()}
    for package, line in tasks.MISSING.items():
        if not find_spec(package):
            typer.echo(f"left out: {package} is not installed; {line}")
    return [
        task
        for task in rows
        if task.peer in there
        and (not peers or task.peer in peers)
        and (not names or task.name.split()[0] in names)
    ]


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt
