"""All cases, and running them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain
from typing import Final, TypedDict

from snnhw import registry
from snnhw.conformance.bench import Bench
from snnhw.conformance.case import CLASSES, LazyCase
from snnhw.conformance.cases import (
    adjoints,
    corners,
    ending,
    exact,
    functions,
    gradient,
    integer,
    laws,
    layers,
    margin,
    pointwise,
    short,
    static_inputs,
    training,
    wiring,
)
from snnhw.conformance.cases.making.examples import EXAMPLES
from snnhw.conformance.checks.evidence import evidence_of
from snnhw.conformance.checks.yardsticks import yardstick
from snnhw.conformance.formats import run_format
from snnhw.conformance.known import known_failures
from snnhw.conformance.outcome import CaseResult, judge
from snnhw.conformance.quick import is_quick
from snnhw.conformance.reports.report import SHOWN, ConformanceReport, report
from snnhw.errors import InputError
from snnhw.ir import LOSS_TERMS, MODELS, OPTIMIZERS, SURROGATES
from snnhw.options import numbers
from snnhw.plugin import BACKENDS, FORMATS, Backend
from snnhw.words import did_you_mean

__all__ = ["SOURCES", "all_cases", "chosen", "run", "run_on"]

OnResult = Callable[[CaseResult], None]

SOURCES: Final[tuple[Callable[[], Iterator[LazyCase]], ...]] = (
    exact.cases,
    corners.cases,
    wiring.cases,
    integer.cases,
    pointwise.cases,
    adjoints.cases,
    functions.cases,
    margin.cases,
    gradient.cases,
    ending.cases,
    layers.cases,
    static_inputs.cases,
    training.cases,
    laws.cases,
    short.cases,
)
"""Where cases come from."""

REGISTRIES: Final[tuple[Mapping[str, object], ...]] = (MODELS, SURROGATES, LOSS_TERMS, OPTIMIZERS)
"""What anyone may add to, and cases are made from."""


def all_cases() -> tuple[LazyCase, ...]:
    """Every case, the strongest class first, each made when it is asked for; also those of models,
    surrogates, terms of a loss and optimizers that somebody has registered."""
    registered = tuple(tuple(registry.values()) for registry in REGISTRIES)
    return _listed((*registered, tuple(EXAMPLES)))


@lru_cache(maxsize=2)
def _listed(_registered: tuple[tuple[object, ...], ...]) -> tuple[LazyCase, ...]:
    """Cases are made from the registries; listed once, until one of them changes."""
    order = list(CLASSES)
    found = chain.from_iterable(source() for source in SOURCES)
    return tuple(sorted(found, key=lambda lazy: order.index(lazy.cls)))


class _Which(TypedDict):
    """Arguments of `chosen`, to hand on."""

    select: str | Sequence[str]
    classes: Sequence[str]
    quick: bool


class _How(_Which):
    """The same, of `run`."""

    paths: bool


def chosen(
    select: str | Sequence[str] = (), classes: Sequence[str] = (), *, quick: bool = False
) -> list[LazyCase]:
    """Some of the cases.

    Args:
        select: only cases whose id contains this, or one of these.
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
        lazy
        for lazy in all_cases()
        if lazy.selected(select) and (not classes or lazy.cls in classes) and (not quick or is_quick(lazy))
    ]


def run(
    backend_name: str,
    options: Mapping[str, object] | None = None,
    *,
    select: str | Sequence[str] = (),
    classes: Sequence[str] = (),
    quick: bool = False,
    paths: bool = False,
    against: str | None = None,
    on_result: OnResult | None = None,
) -> ConformanceReport:
    """Hold an installed backend to the conformance cases; or a format, where no backend has that name.

    Args:
        options: of the backend, by name; ``other.key`` is an option ``key`` of the backend it is held to. Of
            a format: what it writes with, where text that looks like a number is one.
        select, classes, quick: which cases; as for `chosen`.
        paths: try the cases also with every way of the backend's own decisions forced
            (`snnhw.plugin.Capabilities.paths`); an id then ends in ``@name:way``.
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
    how = _How(**which, paths=paths)
    mine, theirs = _shared_out(options or {}, against)
    other = None if against is None else Bench(registry.backend(against, theirs), theirs)
    held = registry.backend(backend_name, mine)
    return run_on(held, mine, **how, against=other, on_result=on_result)


def run_on(
    plugin: Backend,
    options: Mapping[str, object] | None = None,
    *,
    select: str | Sequence[str] = (),
    classes: Sequence[str] = (),
    quick: bool = False,
    paths: bool = False,
    against: Bench | None = None,
    on_result: OnResult | None = None,
) -> ConformanceReport:
    """`run`, for a backend at hand, and perhaps another one to hold it to; laws are about one alone."""
    bench, wanted = Bench(plugin, options or {}), chosen(select, classes, quick=quick)
    benches = [bench] if against is None else [bench, against]
    label = _label(*benches)  # a misspelt option is not every case's failure
    ids = [lazy.id for lazy in all_cases()]
    excuses = {key: why for each in benches for key, why in known_failures(each.plugin, ids).items()}
    found: list[CaseResult] = []
    shown, by = 0, yardstick(against)
    for path, each in {"": bench, **(bench.forced if paths else {})}.items():
        for lazy in wanted:
            if lazy.cls not in by.classes:
                continue
            result = judge(each, lazy, excuses.get(lazy.id), against=against)
            if result.outcome == "failed" and lazy.id not in excuses and shown < SHOWN:
                result, shown = _shown(each, lazy, result, against), shown + 1
            result = replace(result, id=f"{result.id}@{path}") if path else result
            found.append(result)
            if on_result:
                on_result(result)
    return report(plugin.name, label, found, against.plugin.name if against else "")


def _shared_out(
    options: Mapping[str, object], against: str | None
) -> tuple[dict[str, object], dict[str, object]]:
    """Options of a backend, and those of the one it is held to: ``other.key`` is the other's ``key``."""
    prefix = f"{against}."
    is_theirs = {key: against is not None and key.startswith(prefix) for key in options}
    mine = {key: x for key, x in options.items() if not is_theirs[key]}
    return mine, {key.removeprefix(prefix): x for key, x in options.items() if is_theirs[key]}


def _label(*benches: Bench) -> str:
    """What marks the results; of two backends, whose mark it is."""
    (first, *others) = [(bench.plugin.name, bench.label) for bench in benches]
    if not others:
        return first[1]
    return "; ".join(f"{name}: {label}" for name, label in (first, *others) if label)


def _shown(bench: Bench, lazy: LazyCase, result: CaseResult, against: Bench | None) -> CaseResult:
    """A failure with what shows it, or with the word that it comes and goes."""
    try:
        found = evidence_of(bench, lazy.case, against)
    except LookupError:  # there are no numbers for it
        return result
    if found is None and judge(bench, lazy, against=against).outcome != "failed":
        return replace(result, reason=f"{result.reason}; tried again, it did not fail")
    return replace(result, evidence=found)
