"""``snnhw conformance``: hold a backend to the reference, or a format to what it reads back, case by case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Annotated, Final

import typer

from snnhw.cli.arguments import Options, parse_options
from snnhw.cli.console import as_json, complain, err, out, table
from snnhw.cli.guard import FAILED

if TYPE_CHECKING:
    from snnhw.conformance import CaseResult, ConformanceReport
    from snnhw.conformance.checks.evidence import Evidence
    from snnhw.conformance.reports.statistics import Figures

__all__ = ["command"]

OUTCOMES: Final = ("passed", "declined", "xfailed", "failed")
"""What may come of a case, as the report and its JSON form call it."""

MEASURES: Final = ("membrane", "spikes", "gradient")
"""The worst error of a membrane, the share of spikes that differ, the worst error of a gradient."""


def command(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="A backend; `snnhw backends` lists them. Or a file format."),
    ],
    *,
    option: Options = None,
    select: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="Only cases whose id contains this; may be repeated."),
    ] = None,
    classes: Annotated[
        list[str] | None, typer.Option("--class", metavar="NAME", help="Only this class; may be repeated.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only a quick look: some cases of every class.")
    ] = False,
    paths: Annotated[
        bool,
        typer.Option(
            "--paths",
            help="Also with every way forced that the backend otherwise decides on by measurement or size.",
        ),
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Hold it to this backend, not to the reference; -o NAME.KEY=VALUE is an option of that one.",
        ),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", dir_okay=False, help="Also write the report to this file.")
    ] = None,
    html_file: Annotated[
        Path | None, typer.Option("--html", dir_okay=False, help="Also write it as one page for a browser.")
    ] = None,
) -> None:
    """Hold a backend to the reference: everything it promises, case by case.

    A format is held to itself: what it writes, it reads back in every bit, or refuses, or reports as lost.

    Ends with status 1 when a case fails, and when none was run.
    """
    from snnhw import conformance
    from snnhw.conformance.reports.page import page
    from snnhw.ir import write_atomic

    options = parse_options(option)
    for hint, file in (("--json", json_file), ("--html", html_file)):
        if file is not None and not file.parent.is_dir():  # before the work, not after it
            raise typer.BadParameter(f"there is no folder '{file.parent}'", param_hint=hint)
    with _progress() as on_result:
        report = conformance.run(
            name,
            options,
            select=tuple(select or ()),
            classes=tuple(classes or ()),
            quick=quick,
            paths=paths,
            against=against,
            on_result=on_result,
        )
    if json_file is not None:
        write_atomic(json_file, as_json(report.to_json()).encode())
    if html_file is not None:
        write_atomic(html_file, page(report).encode())
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
    """A row for each class, then everything that failed, with its reason and where it begins."""
    from snnhw.conformance.reports.report import SHOWN
    from snnhw.conformance.reports.statistics import by_class

    rows = [_row(cls, found) for cls, found in by_class(report.cases).items()]
    versus = f" against {report.against}" if report.against else ""
    label = f" ({report.label})" if report.label else ""
    out.print(f"{report.of.capitalize()} {report.backend}{versus}{label}", style="bold")
    out.print(table(("class", *OUTCOMES, *MEASURES), rows, right=(*OUTCOMES, *MEASURES)))
    for case in report.cases:
        if case.outcome == "failed":
            out.print(f"\n{case.id}", style="red", soft_wrap=True)
            out.print(f"  {case.reason}", soft_wrap=True)
            if case.evidence:
                _show_evidence(case.evidence)
    if report.failed > SHOWN:
        out.print(f"\nThe smallest program was looked for in the first {SHOWN} failures.")
    seconds = sum(case.seconds for case in report.cases)
    out.print(f"\n{_listed(Counter(case.outcome for case in report.cases)) or 'no cases'} in {seconds:.1f} s")


def _row(cls: str, found: Figures) -> tuple[str, ...]:
    rate = found.mismatch_rate
    return (
        cls,
        *(str(found.outcomes.get(outcome, 0)) for outcome in OUTCOMES),
        _error(found.membrane_error),
        "" if rate is None else f"{rate:.2%}",
        _error(found.gradient_error),
    )


def _error(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"


def _show_evidence(evidence: Evidence) -> None:
    steps, batch = evidence.time_steps, evidence.batch
    out.print(f"  The smallest program that shows it, with T={steps} and B={batch}:", soft_wrap=True)
    out.print(indent(evidence.program, "    "), soft_wrap=True)
    if evidence.first:
        out.print(f"  First: {evidence.first}", soft_wrap=True)
    else:
        out.print(f"  There: {evidence.reason}", soft_wrap=True)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES if counts[outcome])


def _why(report: ConformanceReport) -> str:
    if report.failed:
        return f"{report.failed} of {len(report.cases)} cases failed"
    if report.cases:
        return f"nothing was run: the {report.of} declined all {len(report.cases)} cases"
    return "nothing was run: no case fits --select, --class and --quick"
