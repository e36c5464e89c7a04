"""All cases, and running them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain
from typing import Final, TypedDict

from snnhw import registry
from snnhw.conformance.against import COMPARISONS, judge_both
from snnhw.conformance.bench import Bench
from snnhw.conformance.case import CLASSES, Plan
from snnhw.conformance.cases import (
    corners,
    exact,
    gradient,
    laws,
    layers,
    margin,
    pointwise,
    training,
    wiring,
)
from snnhw.conformance.evidence import Evidence, evidence_of
from snnhw.conformance.formats import run_format
from snnhw.conformance.known import known_failures
from snnhw.conformance.outcome import CaseResult, judge
from snnhw.conformance.quick import is_quick
from snnhw.conformance.report import ConformanceReport, report
from snnhw.errors import InputError
from snnhw.ir import MODELS, Model
from snnhw.options import numbers
from snnhw.plugin import BACKENDS, FORMATS, Backend
from snnhw.words import did_you_mean

__all__ = ["SOURCES", "all_cases", "chosen", "run", "run_against", "run_on"]

OnResult = Callable[[CaseResult], None]

SHOWN: Final = 20
"""For so many failures the smallest program is looked for; more than that are hardly read one by one."""

SOURCES: Final[tuple[Callable[[], Iterator[Plan]], ...]] = (
    exact.cases,
    corners.cases,
    wiring.cases,
    pointwise.cases,
    margin.cases,
    gradient.cases,
    layers.cases,
    training.cases,
    laws.cases,
)
"""Where cases come from."""


def all_cases() -> tuple[Plan, ...]:
    """Every case, the strongest class first, each made when it is asked for; also those of models that
    somebody has registered."""
    return _listed(tuple(MODELS.values()))


@lru_cache(maxsize=1)
def _listed(_models: tuple[Model, ...]) -> tuple[Plan, ...]:
    """Cases are made from the registry of models; listed once, until it changes."""
    order = list(CLASSES)
    found = chain.from_iterable(source() for source in SOURCES)
    return tuple(sorted(found, key=lambda plan: order.index(plan.cls)))


class _Which(TypedDict):
    """Arguments of `chosen`, to hand on."""

    select: str | None
    classes: Sequence[str]
    quick: bool


def chosen(select: str | None = None, classes: Sequence[str] = (), *, quick: bool = False) -> list[Plan]:
    """Some of the cases.

    Args:
        select: only cases whose id contains this.
        classes: only cases of these classes; none given: all.
        quick: only those that make up a quick look.

    Raises:
        InputError: there is no such class.
    """
    for name in classes:
        if name not in CLASSES:
            raise InputError(
                f"there is no class '{name}' of conformance cases.{did_you_mean(name, CLASSES)} "
                f"Classes: {', '.join(CLASSES)}."
            )
    return [
        plan
        for plan in all_cases()
        if (select or "") in plan.id
        and (not classes or plan.cls in classes)
        and (not quick or is_quick(plan))
    ]


def run(
    backend_name: str,
    options: Mapping[str, object] | None = None,
    *,
    select: str | None = None,
    classes: Sequence[str] = (),
    quick: bool = False,
    against: str | None = None,
    on_result: OnResult | None = None,
) -> ConformanceReport:
    """Hold an installed backend to the conformance cases; or a format, where no backend has that name.

    Args:
        options: of the backend, by name; of a format: what it writes with, where text that looks like a
            number is one.
        select, classes, quick: which cases; as for `chosen`.
        against: another backend, to hold it to in the place of the reference.
        on_result: called with every result as soon as it is there.

    Raises:
        PluginError: a backend is unknown, or cannot run here.
        InputError: an option, a class or the backend's list of known failures makes no sense.
    """
    which = _Which(select=select, classes=classes, quick=quick)
    if backend_name in set(registry.names(FORMATS)) - set(registry.names(BACKENDS)):
        if against is not None:
            raise InputError(f"'{backend_name}' is a format, which is held to itself; leave out '{against}'")
        plugin = registry.file_format(backend_name)
        return run_format(plugin, numbers(options or {}), **which, on_result=on_result)
    held = registry.backend(backend_name, options)
    if against is not None:
        return run_against(held, registry.backend(against), options, **which, on_result=on_result)
    return run_on(held, options, **which, on_result=on_result)


def run_on(
    plugin: Backend,
    options: Mapping[str, object] | None = None,
    *,
    select: str | None = None,
    classes: Sequence[str] = (),
    quick: bool = False,
    on_result: OnResult | None = None,
) -> ConformanceReport:
    """`run`, for a backend at hand."""
    bench, plans = Bench(plugin, options or {}), chosen(select, classes, quick=quick)
    label = bench.label  # a misspelt option is not every case's failure
    excuses = known_failures(plugin, [plan.id for plan in all_cases()])
    found: list[CaseResult] = []
    shown = 0
    for plan in plans:
        result = judge(bench, plan, excuses.get(plan.id))
        if result.outcome == "failed" and plan.id not in excuses and shown < SHOWN:
            result, shown = replace(result, evidence=evidence(bench, plan)), shown + 1
        found.append(result)
        if on_result:
            on_result(result)
    return report(plugin.name, label, found)


def evidence(bench: Bench, plan: Plan) -> Evidence | None:
    """What shows the failure of a case."""
    try:
        return evidence_of(bench, plan.case)
    except LookupError:  # there are no numbers for it
        return None


def run_against(
    plugin: Backend,
    other: Backend,
    options: Mapping[str, object] | None = None,
    *,
    select: str | None = None,
    classes: Sequence[str] = (),
    quick: bool = False,
    on_result: OnResult | None = None,
) -> ConformanceReport:
    """Hold a backend to another one, in every case that is not a law on one backend alone."""
    one, two = Bench(plugin, options or {}), Bench(other)
    labels = [bench.label for bench in (one, two)]
    found = []
    for plan in chosen(select, classes, quick=quick):
        if plan.cls in COMPARISONS:
            found.append(judge_both(one, two, plan))
            if on_result:
                on_result(found[-1])
    return report(plugin.name, ", ".join(filter(None, labels)), found, against=other.name)
