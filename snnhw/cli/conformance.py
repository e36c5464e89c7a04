"""``snnhw conformance``: hold a backend to the reference, case by case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from snnhw.cli.arguments import Options, parse_options
from snnhw.cli.console import as_json, complain, err, out, table
from snnhw.cli.guard import FAILED

if TYPE_CHECKING:
    from snnhw.conformance import CaseResult, ConformanceReport

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

    options, chosen = parse_options(option), tuple(classes or ())
    if file is not None and not file.parent.is_dir():  # before the work, not after it
        raise typer.BadParameter(f"there is no folder '{file.parent}'", param_hint="--json")
    with _progress() as on_result:
        report = conformance.run(name, options, select=select, classes=chosen, on_result=on_result)
    if file is not None:
        write_atomic(file, as_json(report.to_json()).encode())
    _show(report)
    if not report.ok:
        complain(_why(report))
        raise typer.Exit(FAILED)


@contextmanager
def _progress() -> Iterator[Callable[[CaseResult], None]]:
    """What to call with every result: a running count on a terminal, a line now and then elsewhere."""
    counts: Counter[str] = Counter()
    with err.status("choosing cases") as status:

        def on_result(result: CaseResult) -> None:
            counts[result.outcome] += 1
            status.update(f"{_listed(counts)}; last: {result.id}")
            if not err.is_terminal and counts.total() % 100 == 0:
                err.print(f"{counts.total()} cases: {_listed(counts)}")

        yield on_result


def _show(report: ConformanceReport) -> None:
    """A row for each class, then everything that failed, with its reason."""
    by_class: dict[str, Counter[str]] = {}
    for case in report.cases:
        by_class.setdefault(case.cls, Counter())[case.outcome] += 1
    rows = [(cls, *(str(counts[outcome]) for outcome in OUTCOMES)) for cls, counts in by_class.items()]
    out.print(f"Backend {report.backend}{f' ({report.label})' if report.label else ''}", style="bold")
    out.print(table(("class", *OUTCOMES), rows, right=OUTCOMES))
    for case in report.cases:
        if case.outcome == "failed":
            out.print(f"\n{case.id}", style="red", soft_wrap=True)
            out.print(f"  {case.reason}", soft_wrap=True)
    out.print(f"\n{_listed(Counter(case.outcome for case in report.cases)) or 'no cases'}")


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES if counts[outcome])


def _why(report: ConformanceReport) -> str:
    if report.failed:
        return f"{report.failed} of {len(report.cases)} cases failed"
    if report.cases:
        return f"nothing was run: the backend declined all {len(report.cases)} cases"
    return "nothing was run: no case fits --select and --class"
