"""Results as JSON, as a markdown page's table, and as lines on a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from benchmarks.machine import machine, versions
from benchmarks.result import Result, Skipped
from snnhw.ir import write_atomic

__all__ = ["SCHEMA", "as_json", "as_markdown", "line", "rounded", "table", "update_page"]

SCHEMA: Final = 1
MARKERS: Final = ("<!-- results -->", "<!-- /results -->")
PACKAGES: Final = ("snnhw", "torch", "numba", "numpy", "snntorch", "spikingjelly")
DIGITS: Final = 4
COLUMNS: Final = (
    "mode", "peer", "ratio", "10-90 %", "aim", "ours ms", "peer ms", "ours MB", "peer MB", "same result"
)  # fmt: skip
SHARES: Final = ("ours roofline", "peer roofline")
LEFT: Final = {"mode", "peer", "same result"}


def as_json(rows: Sequence[Result | Skipped], *, quick: bool) -> str:
    """The whole report; numbers to four digits, which is more than they are worth."""
    report: dict[str, Any] = {
        "schema": SCHEMA,
        "quick": quick,
        "machine": machine(),
        "versions": versions(PACKAGES),
        "results": [rounded(asdict(row)) for row in rows if isinstance(row, Result)],
        "skipped": [asdict(row) for row in rows if isinstance(row, Skipped)],
    }
    return json.dumps(report, indent=2) + "\n"


def as_markdown(rows: Sequence[Result | Skipped], *, quick: bool) -> str:
    """A table for each network, what was left out, and what everything ran on."""
    parts = ["These are quick runs: they say nothing about speed.\n"] if quick else []
    parts.append(f"Measured on {_machine_in_words()}.\n")
    results = [row for row in rows if isinstance(row, Result)]
    for (workload, title), group in groupby(results, key=lambda row: (row.workload, row.title)):
        parts.append("\n".join([f"**{workload}**: {title}.\n", *table(list(group))]) + "\n")
    skipped = sorted(
        {f"- {row.workload} beside {row.peer}: {row.reason}" for row in rows if isinstance(row, Skipped)}
    )
    if skipped:
        parts.append("\n".join(["Left out:\n", *skipped]) + "\n")
    return "\n".join(parts)


def update_page(path: Path, text: str, markers: tuple[str, str] = MARKERS) -> None:
    """Put the text between the page's markers, or make a page of it.

    Raises:
        ValueError: the page exists and lacks the markers.
    """
    first, last = markers
    page = path.read_text() if path.exists() else f"{first}\n{last}\n"
    before, opening, rest = page.partition(first)
    _, closing, after = rest.partition(last)
    if not opening or not closing:
        raise ValueError(f"{path} has no {first} ... {last} to put results between")
    write_atomic(path, f"{before}{first}\n\n{text}\n{last}{after}".encode())


def line(row: Result | Skipped) -> str:
    """One row for a terminal."""
    name = f"{row.workload} {row.mode} | {row.peer}"
    if isinstance(row, Skipped):
        return f"{name}: left out, {row.reason}"
    if row.ratio is None:
        return f"{name}: NOT THE SAME RESULT, {row.note}"
    aim = f", aim {row.aim:g}" if row.aim else ""
    memory = (
        f"; {_number(row.ours_peak_mb)} MB beside {_number(row.peer_peak_mb)}" if row.ours_peak_mb else ""
    )
    ratio = f"{row.ratio:.2f} ({row.ratio_low:.2f}-{row.ratio_high:.2f}{aim})"
    return f"{name}: {ratio}; {_number(row.ours_ms)} ms beside {_number(row.peer_ms)}{memory}; {row.note}"


def table(rows: Sequence[Result]) -> Iterator[str]:
    """A heading and a line for each row; shares of bandwidth where there are any."""
    shares = any(row.ours_roofline for row in rows)
    columns = [*COLUMNS[:-1], *(SHARES if shares else ()), COLUMNS[-1]]
    yield f"| {' | '.join(columns)} |"
    yield f"| {' | '.join('---' if name in LEFT else '--:' for name in columns)} |"
    for row in rows:
        *cells, last = _cells(row)
        found = (_number(row.ours_roofline), _number(row.peer_roofline)) if shares else ()
        yield f"| {' | '.join([*cells, *found, last])} |"


def _cells(row: Result) -> tuple[str, ...]:
    spread = "" if row.ratio_low is None else f"{_number(row.ratio_low)}-{_number(row.ratio_high)}"
    return (
        f"{row.mode} (T={row.steps}, B={row.batch})",
        row.peer,
        f"**{_number(row.ratio)}**",
        spread,
        _number(row.aim),
        _number(row.ours_ms),
        _number(row.peer_ms),
        _number(row.ours_peak_mb),
        _number(row.peer_peak_mb),
        f"{'yes' if row.correct else '**no**'}: {row.note}",
    )


def _number(value: float | None) -> str:
    """Three digits."""
    if value is None:
        return ""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {
        key: float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value for key, value in row.items()
    }


def _machine_in_words() -> str:
    found = machine()
    packages = ", ".join(f"{name} {number}" for name, number in versions(PACKAGES).items())
    return (
        f"{found['cpu']} ({found['capability']}), {found['cores']} cores, "
        f"{found['threads']} threads of torch, {found['memory_gb']} GB, {found['system']}, "
        f"Python {found['python']}; {packages}"
    )
