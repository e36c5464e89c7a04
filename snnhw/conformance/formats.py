"""Holding a format to itself: what is written is read back, or it says that it is not.

A file that is read in another place and means something else there is the failure that nobody notices. So
there are three ways to be right: the same program and every bit of every parameter; a refusal with its
reasons, that leaves no file; or a `Report` that lists what was lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final

import numpy as np

from snnhw.conformance.bench import copied
from snnhw.conformance.case import Case, LazyCase
from snnhw.conformance.cases.formats import format_cases
from snnhw.conformance.cases.making.neurons import common
from snnhw.conformance.cases.making.subject import about
from snnhw.conformance.outcome import CaseResult, Outcome
from snnhw.conformance.reports.report import ConformanceReport, report
from snnhw.errors import ExportError, InputError
from snnhw.ir import Params, Program
from snnhw.options import check_format_options
from snnhw.plugin import Format

__all__ = ["judge_format", "run_format"]

QUICK: Final = ("format/op/*", f"format/*/{common().model.name}-*")
"""Patterns of ids that make up a quick look."""


def run_format(
    plugin: Format,
    options: Mapping[str, object] | None = None,
    *,
    select: str | Sequence[str] = (),
    classes: Sequence[str] = (),
    quick: bool = False,
    on_result: Callable[[CaseResult], None] | None = None,
) -> ConformanceReport:
    """Hold a format to itself, in every case of the class ``format``.

    Args:
        options: what it writes with.
        select, classes, quick: which cases; as for `snnhw.conformance.suite.chosen`.
        on_result: called with every result as soon as it is there.

    Raises:
        InputError: a class that is none of formats, or an option that this one does not have.
    """
    for name in classes:
        if name != "format":
            raise InputError(f"cases of class '{name}' are not about formats; those of class 'format' are")
    check_format_options(plugin, options or {})  # a misspelt one is not every case's failure
    found = []
    with TemporaryDirectory() as folder:
        for lazy in format_cases():
            wanted = not quick or any(fnmatchcase(lazy.id, pattern) for pattern in QUICK)
            if wanted and lazy.selected(select):
                found.append(judge_format(plugin, lazy, Path(folder), options))
                if on_result:
                    on_result(found[-1])
    return report(plugin.name, "", found, of="format")


def judge_format(
    plugin: Format, lazy: LazyCase, folder: Path, options: Mapping[str, object] | None = None
) -> CaseResult:
    """Try one case, in an empty folder. Whatever the format does, this returns."""
    case, before = lazy.case, perf_counter()
    path = folder / f"case{plugin.suffixes[0]}"
    try:
        outcome, reason = _outcome(plugin, case, path, options or {})
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a stranger's code must not end the run
        outcome, reason = "failed", f"{type(error).__name__}: {error}"
    path.unlink(missing_ok=True)
    return CaseResult(case.id, case.cls, outcome, reason, perf_counter() - before, about=about(case))


def _outcome(plugin: Format, case: Case, path: Path, options: Mapping[str, object]) -> tuple[Outcome, str]:
    try:
        written = plugin.write(case.program, copied(case.params), path, **options)
    except ExportError as error:
        if path.exists():
            return "failed", f"it refuses, but leaves a file: {error}"
        if not any(error.reasons):
            return "failed", "it refuses without a reason"
        return "declined", "; ".join(error.reasons)
    program, params, read = plugin.read(path)
    differing = list(_differing(case.program, case.params, program, params))
    if not differing:
        return "passed", ""
    lost = [*written.lost, *read.lost]
    if lost:
        return "declined", "; ".join(lost)
    return "failed", f"it reads back something else, and its reports list nothing as lost: {differing[0]}"


def _differing(program: Program, params: Params, other: Program, others: Params) -> Iterator[str]:
    """What is not the same, the first of them in a few words."""
    for name in dict.fromkeys((*program.nodes, *other.nodes)):
        was, now = program.nodes.get(name), other.nodes.get(name)
        if was != now:
            words = [op.summary() if op else "nothing" for op in (was, now)]
            yield f"node '{name}' was {words[0]}, and is {words[1]}"
    if list(program.nodes) != list(other.nodes):
        yield f"the nodes were {', '.join(program.nodes)}, and are {', '.join(other.nodes)}"
    for what in ("edges", "time", "trainable"):
        was, now = getattr(program, what), getattr(other, what)
        if was != now:
            yield f"{what}: {was} became {now}"
    for key in dict.fromkeys((*params, *others)):
        if _bits(params.get(key)) != _bits(others.get(key)):
            yield f"parameter '{key}' is not the same in every bit"


def _bits(array: object) -> tuple[object, ...] | None:
    if array is None:
        return None
    found = np.asarray(array)
    return found.dtype, found.shape, found.tobytes()
