"""What a run on a device found, as JSON that is whole after every row, and as a page's tables."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Final

from benchmarks import report
from benchmarks.device.cases import CASES, ROOFLINE
from benchmarks.device.crew import Row
from benchmarks.device.tasks import Task
from benchmarks.result import Result
from snnhw.ir import write_atomic

__all__ = ["MARKERS", "Record"]

SCHEMA: Final = 1

MARKERS: Final = ("<!-- device -->", "<!-- /device -->")

OUTCOMES: Final = ("passed", "declined", "xfailed", "failed")

SHOWN: Final = 20
"""Failed cases that a page names; the JSON has all."""


@dataclass
class Record:
    """Grows row by row.

    Attributes:
        warning: what stands with every figure; "" on a GPU.
        minutes: that it was given.
        machine: what it ran on.
        conformance, modules, results, skipped: rows.
        wanted: cases of conformance that there are.
        not_reached: titles of what there was no time for.
        finished: whether it came to its end; False in what an interrupted run leaves.
    """

    warning: str
    minutes: float
    machine: Row = field(default_factory=dict)
    conformance: list[Row] = field(default_factory=list)
    modules: list[Row] = field(default_factory=list)
    results: list[Row] = field(default_factory=list)
    skipped: list[Row] = field(default_factory=list)
    wanted: int = 0
    not_reached: list[str] = field(default_factory=list)
    finished: bool = False

    def add(self, task: Task, row: Row) -> str:
        """One answer; gives back a line about it."""
        return ADDS[task.kind](self, task, row)

    @property
    def wrong(self) -> list[str]:
        """Titles of what was not as it should be."""
        cases = [row["id"] for row in self.conformance if row["outcome"] == "failed"]
        modules = [row["name"] for row in self.modules if not row["correct"]]
        rows = [_title(row) for row in self.results if not row["correct"]]
        return [*cases, *modules, *rows]

    def as_json(self) -> str:
        counts = Counter(row["outcome"] for row in self.conformance)
        found = {
            "schema": SCHEMA,
            "finished": self.finished,
            "label": self.warning,
            "minutes": self.minutes,
            "machine": self.machine,
            "conformance": {
                "label": self.warning,
                "cases": self.wanted,
                "run": len(self.conformance),
                **{outcome: counts[outcome] for outcome in OUTCOMES},
                "not passed": [row for row in self.conformance if row["outcome"] != "passed"],
            },
            "modules": [row | {"label": self.warning} for row in self.modules],
            "results": [report.rounded(row) | {"label": self.warning} for row in self.results],
            "skipped": self.skipped,
            "not_reached": self.not_reached,
        }
        return json.dumps(found, indent=2) + "\n"

    def write(self, path: Path) -> None:
        write_atomic(path, self.as_json().encode())

    def as_markdown(self) -> str:
        """A table for each network, those of results first."""
        parts = [f"Measured on {self._machine_in_words()}, in {self.minutes:g} minutes.\n"]
        parts += [*self._proofs(), *self._networks()]
        left = sorted({f"- {_title(row)}: {row['reason']}" for row in self.skipped})
        parts += ["\n".join(["Left out:\n", *left]) + "\n"] if left else []
        unseen = Counter(title.split()[0] for title in self.not_reached)
        if unseen:
            counts = ", ".join(f"{count} of kind {kind}" for kind, count in unseen.items())
            parts.append(f"There was no time for {counts}; the JSON names them.\n")
        return "\n".join(parts)

    def _networks(self) -> Iterator[str]:
        order = [case.key for case in CASES]
        rows = sorted(self.results, key=lambda row: order.index(_key(row)))
        for (workload, title), group in groupby(rows, key=lambda row: (row["workload"], row["title"])):
            mark = f" **{self.warning}**" if self.warning else ""
            results = [Result(**row) for row in group]
            aim = f" Roofline aimed at: {ROOFLINE}, in its largest sizes." if workload == "W5" else ""
            yield "\n".join([f"**{workload}**: {title}.{mark}{aim}\n", *report.table(results)]) + "\n"

    def _proofs(self) -> Iterator[str]:
        """Conformance, and eager modules."""
        mark = f" **{self.warning}**" if self.warning else ""
        counts = Counter((row["cls"], row["outcome"]) for row in self.conformance)
        lines = [f"| class | {' | '.join(OUTCOMES)} |", f"| --- | {' | '.join('--:' for _ in OUTCOMES)} |"]
        lines += [
            f"| {cls} | {' | '.join(str(counts[cls, outcome]) for outcome in OUTCOMES)} |"
            for cls in dict.fromkeys(row["cls"] for row in self.conformance)
        ]
        failed = [row for row in self.conformance if row["outcome"] == "failed"][:SHOWN]
        lines += ["", *(f"- {row['id']}: {row['reason']}" for row in failed)] if failed else []
        head = f"**Conformance**: {len(self.conformance)} of {self.wanted} cases.{mark}\n"
        yield "\n".join([head, *lines]) + "\n"
        if self.modules:
            where = " **by the CPU's kernels: there was no GPU**" if self.warning else ""
            head = f"**Eager modules** beside snnTorch's.{where}\n"
            yield "\n".join([head, *_modules(self.modules)]) + "\n"

    def _machine_in_words(self) -> str:
        found = self.machine
        host = found.get("host", {})
        releases = ", ".join(f"{name} {number}" for name, number in found.get("versions", {}).items())
        device = found.get("device", "an unknown device")
        if "driver" in found:
            device = (
                f"{device} (sm_{found['capability'].replace('.', '')}, {found['memory_gb']} GB, a copy moves "
                f"{found['copy_gb_per_s']} GB/s), driver {found['driver']}, CUDA {found['cuda']}"
            )
        return (
            f"{device}; {host.get('cpu')}, {host.get('cores')} cores, Python {host.get('python')}; {releases}"
        )


def _machine(record: Record, _: Task, row: Row) -> str:
    record.machine = row
    return str(row.get("error") or f"on {row['device']}")


def _case(record: Record, task: Task, row: Row) -> str:
    if "error" in row:
        row = {
            "id": task.name,
            "cls": task.name.partition("/")[0],
            "outcome": "failed",
            "reason": row["error"],
        }
    record.conformance.append(row)
    return "" if row["outcome"] == "passed" else f"{row['id']}: {row['outcome']}, {row['reason']}"


def _module(record: Record, task: Task, row: Row) -> str:
    if "error" in row:
        row = {"name": task.name, "correct": False, "error": row["error"]}
    record.modules.append(row)
    return f"eager {task.name}: {_verdict(row)}"


def _row(record: Record, task: Task, row: Row) -> str:
    if "error" in row or "reason" in row:
        reason = row.get("reason") or f"failed: {row['error']}"
        record.skipped.append({"workload": task.name, "mode": task.mode, "peer": task.peer, "reason": reason})
        return f"{task.title}: left out, {reason}"
    record.results.append(row)
    return report.line(Result(**row))


ADDS: Final = {"machine": _machine, "case": _case, "module": _module, "row": _row}


def _title(row: Row) -> str:
    return f"{row['workload']} {row['mode']} beside {row['peer']}"


def _key(row: Row) -> str:
    """Of its case: a result has the variant behind its mode."""
    return f"{row['workload']} {row['mode'].partition(' ')[2]}".strip()


def _verdict(row: Row) -> str:
    if "error" in row:
        return f"NO, {row['error']}"
    found = f"{row['differing']} of {row['spikes']} spikes differ, gradients within {row['gradient']:.0e}"
    return f"{'yes' if row['correct'] else 'NO'}: {found} ({row['worst']})"


def _modules(rows: Sequence[Row]) -> Iterator[str]:
    yield "| module, reset | same result |"
    yield "| --- | --- |"
    yield from (f"| {row['name']} | {_verdict(row)} |" for row in rows)
