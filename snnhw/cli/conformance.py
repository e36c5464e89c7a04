"""``snnhw conformance``: hold a backend to the reference, case by case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from snnhw.cli.arguments import Options, parse_options
from snnhw.cli.console import complain, err, out, table
from snnhw.cli.guard import FAILED

if TYPE_CHECKING:
    from collections.abc import Callable

    from snnhw.conformance import ConformanceReport

__all__ = ["command"]

OUTCOMES: Final = ("passed", "declined", "xfailed", "failed")
"""What may come of a case, as the report and its JSON form call it."""


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A backend; `snnhw backends` lists them.")],
    option: Options = None,
    select: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Only cases whose id contains this.")
    ] = None,
    classes: Annotated[
        list[str] | None, typer.Option("--class", metavar="NAME", help="Only this class; may be repeated.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--json", dir_okay=False, help="Also write the report to this file.")
    ] = None,
) -> None:
    """Hold a backend to the reference: everything it promises, case by case.

    Ends with status 1 when a case fails, and when none was run.
    """
    from snnhw import conformance
    from snnhw.ir import write_atomic

    options = parse_options(option)
    with _progress() as on_result:
        report = conformance.run(name, options, select=select, classes=tuple(classes or ()), on_result=on_result)
    if file is not None:
        write_atomic(file, report.to_json().encode())
    _show(report)
    if not report.ok:
        complain(_why(report))
        raise typer.Exit(FAILED)
