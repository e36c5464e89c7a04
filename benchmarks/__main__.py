"""``python -m benchmarks W1 W5 --peers snntorch,spikingjelly --json results.json``."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Annotated, Final

import torch
import typer

from benchmarks import peers, report, workloads
from benchmarks.case import MODES, Case, Mode
from benchmarks.peers import Peer
from benchmarks.result import Result
from benchmarks.run import Settings, run
from snnhw.ir import write_atomic

__all__ = ["main"]

WRONG_RESULT: Final = 1

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    *,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="WORKLOAD", help=f"Of {', '.join(workloads.WORKLOADS)}; none: all.", show_default=False
        ),
    ] = None,
    peer: Annotated[
        str,
        typer.Option(
            "--peers", metavar="NAMES", help="Separated by commas; a package stands for all its modes."
        ),
    ] = ",".join(peers.installed()),
    mode: Annotated[str, typer.Option("--modes", metavar="NAMES", help="Separated by commas.")] = ",".join(
        MODES
    ),
    repeats: Annotated[int, typer.Option(min=1, help="Pairs of timings for a row.")] = 15,
    seconds: Annotated[
        float, typer.Option(help="Time fewer pairs, but at least 5, when a row takes longer.")
    ] = 60.0,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of torch; by default as many as there are cores.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Few steps and samples: shows that it works, not how fast.")
    ] = False,
    memory: Annotated[bool, typer.Option(help="Measure peaks, in processes of their own.")] = True,
    json_file: Annotated[
        Path | None, typer.Option("--json", dir_okay=False, help="Write all results here.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Put tables between this page's markers.")
    ] = None,
) -> None:
    """Measure snnhw beside other libraries: times in turns, peak memory, and first of all the results.

    Ends with status 1 when a result is not the same.
    """
    cases, others = _chosen(names or [], peer)
    torch.set_num_threads(threads or os.cpu_count() or 1)
    warnings.simplefilter("ignore")  # those of peers
    settings = Settings(_modes(mode), repeats, seconds, quick, memory)
    rows = []
    for row in run(cases, others, settings):
        typer.echo(report.line(row))
        rows.append(row)
        if json_file:  # after every row: a run that is cut short has not been for nothing
            write_atomic(json_file, report.as_json(rows, quick=quick).encode())
    if markdown:
        report.update_page(markdown, report.as_markdown(rows, quick=quick))
    if any(isinstance(row, Result) and not row.correct for row in rows):
        raise typer.Exit(WRONG_RESULT)


def _chosen(names: list[str], peer: str) -> tuple[tuple[Case, ...], tuple[Peer, ...]]:
    try:
        return workloads.select(names), peers.select(_list(peer))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _modes(given: str) -> tuple[Mode, ...]:
    unknown = set(_list(given)) - set(MODES)
    if unknown:
        raise typer.BadParameter(f"no mode {', '.join(sorted(unknown))}; known: {', '.join(MODES)}")
    return tuple(mode for mode in MODES if mode in _list(given))


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


if __name__ == "__main__":
    app()
