"""All cases, and running them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Final

from snnhw import registry
from snnhw.conformance.bench import Bench
from snnhw.conformance.case import CLASSES, Plan
from snnhw.conformance.cases import corners, exact, gradient, laws, margin, pointwise, training, wiring
from snnhw.conformance.known import known_failures
from snnhw.conformance.outcome import CaseResult, judge
from snnhw.conformance.report import ConformanceReport, report
from snnhw.errors import InputError
from snnhw.plugin import Backend
from snnhw.words import did_you_mean

__all__ = ["SOURCES", "all_cases", "run", "run_on"]

SOURCES: Final[tuple[Callable[[], Iterator[Plan]], ...]] = (
    exact.cases,
    corners.cases,
    wiring.cases,
    pointwise.cases,
    margin.cases,
    gradient.cases,
    training.cases,
    laws.cases,
)
"""Where cases come from."""


@lru_cache(maxsize=1)
def all_cases() -> tuple[Plan, ...]:
    """Every case, the strongest class first, each made when it is asked for. Listed once: a model that is
    registered later is not in it."""
    order = list(CLASSES)
    found = chain.from_iterable(source() for source in SOURCES)
    return tuple(sorted(found, key=lambda plan: order.index(plan.cls)))


def run(
    backend_name: str,
    options: Mapping[str, object] | None = None,
    *,
    select: str | None = None,
    classes: Sequence[str] = (),
    on_result: Callable[[CaseResult], None] | None = None,
) -> ConformanceReport:
    """Hold an installed backend to the conformance cases.

    Args:
        options: of the backend, by name.
        select: only cases whose id contains this.
        classes: only cases of these classes; none given: all.
        on_result: called with every result as soon as it is there.

    Raises:
        PluginError: the backend is unknown, or cannot run here.
        InputError: an option, a class or the backend's list of known failures makes no sense.
    """
    plugin = registry.backend(backend_name)
    return run_on(plugin, options, select=select, classes=classes, on_result=on_result)


def run_on(
    plugin: Backend,
    options: Mapping[str, object] | None = None,
    *,
    select: str | None = None,
    classes: Sequence[str] = (),
    on_result: Callable[[CaseResult], None] | None = None,
) -> ConformanceReport:
    """`run`, for a backend at hand."""
    for name in classes:
        if name not in CLASSES:
            raise InputError(
                f"there is no class '{name}' of conformance cases.{did_you_mean(name, CLASSES)} "
                f"Classes: {', '.join(CLASSES)}."
            )
    registry.build_options(plugin, options or {})  # a misspelt one is not every case's failure
    bench = Bench(plugin, options or {})
    excuses = known_failures(plugin, [plan.id for plan in all_cases()])
    found = []
    for plan in all_cases():
        if (select or "") in plan.id and (not classes or plan.cls in classes):
            found.append(judge(bench, plan, excuses.get(plan.id)))
            if on_result:
                on_result(found[-1])
    return report(plugin.name, bench.label, found)
