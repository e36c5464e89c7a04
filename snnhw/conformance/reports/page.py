"""A report as one page for a browser: nothing is loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from typing import Final

from snnhw.conformance.case import EVERY_CLASS
from snnhw.conformance.checks.evidence import Evidence
from snnhw.conformance.outcome import CaseResult
from snnhw.conformance.reports.drawing import drawing
from snnhw.conformance.reports.report import SHOWN, ConformanceReport
from snnhw.conformance.reports.statistics import Figures, by_class, matrix

__all__ = ["page"]

OUTCOMES: Final = ("passed", "declined", "xfailed", "failed")

WORDS: Final = ("asks", "why")
"""Columns of words, which begin at the left."""

STYLE: Final = """
:root { color-scheme: light dark; --line: #8885; --good: #2a7a3b; --bad: #c0262d; --calm: #777; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.2; } h3 { font-size: 1rem; margin-bottom: .3rem; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .6rem; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top; }
th:first-child, td:first-child, .text { text-align: left; }
.passed { color: var(--good); } .failed { color: var(--bad); font-weight: 600; }
.declined, .xfailed, .none { color: var(--calm); }
pre { background: #8881; padding: .6rem; overflow-x: auto; border-radius: 4px; }
.label { border: 2px solid var(--bad); color: var(--bad); padding: .1rem .5rem; border-radius: 4px; }
svg { width: 100%; max-width: 40rem; height: auto; display: block; margin: .3rem 0; background: #8881; }
svg text { font: 10px system-ui, sans-serif; fill: currentColor; }
svg polyline { fill: none; stroke-width: 1.5; }
.wanted polyline { stroke: var(--good); } .wanted circle { fill: none; stroke: var(--good); }
.got polyline { stroke: var(--bad); stroke-dasharray: 4 3; } .got circle { fill: var(--bad); }
.mark { stroke: currentColor; stroke-width: 1; stroke-dasharray: 2 2; opacity: .6; }
"""


def page(report: ConformanceReport) -> str:
    """The whole page, as HTML."""
    versus = report.against or "the reference"
    title = f"{report.backend}, held to {versus if report.of == 'backend' else 'itself'}"
    label = f' <span class="label">{escape(report.label)}</span>' if report.label else ""
    counts = ", ".join(
        f'<span class="{outcome}">{getattr(report, outcome)} {outcome}</span>' for outcome in OUTCOMES
    )
    body = [
        f"<h1>{escape(title)}{label}</h1>",
        f"<p>{counts}</p>",
        "<h2>By class</h2>",
        _classes(report),
        "<h2>What works</h2>",
        "<p>Cases that passed, of those that were run; declined ones are not run.</p>",
        _matrix(report),
        *_failures(report.cases),
        "<h2>All cases</h2>",
        _cases(report),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )


def _classes(report: ConformanceReport) -> str:
    head = (
        "class",
        "asks",
        *OUTCOMES,
        "worst membrane error",
        "spikes that differ",
        "worst gradient error",
        "seconds",
        "per case",
    )
    rows = []
    for cls, found in by_class(report.cases).items():
        ran = sum(found.outcomes.values())
        rows.append(
            (
                f"<td>{cls}</td>",
                f'<td class="text">{escape(EVERY_CLASS[cls])}</td>',
                *(_count(found, outcome) for outcome in OUTCOMES),
                f"<td>{_error(found.membrane_error)}</td>",
                f"<td>{_rate(found)}</td>",
                f"<td>{_error(found.gradient_error)}</td>",
                f"<td>{found.seconds:.1f}</td>",
                f"<td>{found.seconds / ran:.3f}</td>",
            )
        )
    return _table(head, rows)


def _matrix(report: ConformanceReport) -> str:
    used = list(by_class(report.cases))
    rows = []
    for word, found in matrix(report.cases).items():
        kind, _, name = word.partition("/")
        cells = [_cell(found[cls]) if cls in found else '<td class="none">·</td>' for cls in used]
        rows.append((f"<td>{escape(name)} <small>{kind}</small></td>", *cells))
    return _table(("", *used), rows)


def _cell(found: Figures) -> str:
    """Passed of run; failed if any failed, declined when none was run."""
    passed, declined = found.outcomes.get("passed", 0), found.outcomes.get("declined", 0)
    ran = sum(found.outcomes.values()) - declined
    if not ran:
        return f'<td class="declined" title="{declined} declined">declined</td>'
    failed, known = found.outcomes.get("failed", 0), found.outcomes.get("xfailed", 0)
    style = "failed" if failed else "xfailed" if known else "passed"
    error = f"worst membrane error {_error(found.membrane_error) or 'not measured'}"
    return f'<td class="{style}" title="{failed} failed, {declined} declined; {error}">{passed} of {ran}</td>'


def _failures(cases: Iterable[CaseResult]) -> Iterator[str]:
    failed = [case for case in cases if case.outcome == "failed"]
    if failed:
        yield "<h2>Failures</h2><p>Drawn through: what it should be. Dashed: what the backend gave.</p>"
    for case in failed:
        yield f'<h3 class="failed" id="{escape(case.id)}">{escape(case.id)}</h3><p>{escape(case.reason)}</p>'
        if case.proof is not None:
            yield f"<p>Every bit is asked for: {escape(str(case.proof))}.</p>"
        if case.evidence is not None:
            yield _evidence(case.evidence)
    if len(failed) > SHOWN:
        yield f"<p>The smallest program was looked for in the first {SHOWN} failures.</p>"


def _evidence(evidence: Evidence) -> str:
    arrays = "\n".join(evidence.arrays)
    parts = [
        f"<p>The smallest program that shows it, with T={evidence.time_steps} and B={evidence.batch}:</p>",
        f"<pre>{escape(evidence.program)}\n\n{escape(arrays)}</pre>",
        f"<p>There it says: {escape(evidence.reason)}</p>",
    ]
    if evidence.first is not None:
        parts.append(f"<p>Of all steps of the case, the first wrong value: {escape(str(evidence.first))}</p>")
    mark = evidence.first.step if evidence.first else None
    return "".join([*parts, *(drawing(trace, mark) for trace in evidence.traces)])


def _cases(report: ConformanceReport) -> str:
    head = ("case", "outcome", "membrane error", "spikes that differ", "gradient error", "seconds", "why")
    rows = []
    for case in report.cases:
        measured = case.measured
        flips = f"{measured.flips} of {measured.spikes}" if measured.spikes else ""
        rows.append(
            (
                f"<td>{escape(case.id)}</td>",
                f'<td class="{case.outcome}">{case.outcome}</td>',
                f"<td>{_error(measured.membrane_error)}</td>",
                f"<td>{flips}</td>",
                f"<td>{_error(measured.gradient_error)}</td>",
                f"<td>{case.seconds:.3f}</td>",
                f'<td class="text">{escape(case.reason)}</td>',
            )
        )
    return f"<details><summary>{len(rows)} cases</summary>{_table(head, rows)}</details>"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    headings = "".join(
        f'<th class="text">{word}</th>' if word in WORDS else f"<th>{escape(word)}</th>" for word in head
    )
    lines = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return f"<table><thead><tr>{headings}</tr></thead><tbody>{lines}</tbody></table>"


def _count(found: Figures, outcome: str) -> str:
    count = {str(name): number for name, number in found.outcomes.items()}.get(outcome, 0)
    return f'<td class="{outcome if count else "none"}">{count}</td>'


def _rate(found: Figures) -> str:
    return (
        "" if found.mismatch_rate is None else f"{found.flips} of {found.spikes}, {found.mismatch_rate:.2%}"
    )


def _error(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"
