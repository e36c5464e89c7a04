"""What can be wrong with a neuron model; every problem, not only the first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from snnhw.ir.checks import is_number
from snnhw.ir.expr import NAME, Expr, free_variables, tables
from snnhw.ir.surrogates.base import NOISE
from snnhw.words import brief, listing

if TYPE_CHECKING:
    from snnhw.ir.models.family import NeuronModel

__all__ = ["MAX_NAMES", "RESERVED", "SPK", "TIMINGS", "name_problems", "problems"]

TIMINGS: Final = ("delayed", "retest", "immediate")
MAX_NAMES: Final = 64

SPK: Final = "spk"
"""The output port that spikes leave by."""

LETTERS: Final = "use letters, digits and underscores, at most 64"

RESERVED: Final = frozenset({"reset", "spike", "dt", "graded_spikes_factor", "levels", NOISE})
"""Names that equations and the options of a `Neuron` use themselves."""


def problems(entry: NeuronModel) -> list[str]:
    """Every inconsistency of a model, in one line each."""
    names = [*entry.ports, *(state.name for state in entry.states), *(param.name for param in entry.params)]
    names += entry.noise
    if len(names) > MAX_NAMES:
        return [f"it has {len(names)} ports, states and parameters; at most {MAX_NAMES} are accepted"]
    if not entry.ports:
        return ["it has no port; a neuron without input would have no shape"]
    found = [*_own_names(entry), *name_problems(names, RESERVED), *_numbers(entry)]
    found += [*_equations(entry, {*names, "dt"}), *_timings(entry)]
    if entry.reset not in entry.resets:
        found.append(f"default reset '{entry.reset}' is not among {', '.join(entry.resets)}")
    return found


def _own_names(entry: NeuronModel) -> Iterator[str]:
    for what, names in (("a model", [entry.name]), ("a reset", entry.resets)):
        for name in names:
            if not NAME.fullmatch(name):
                yield f"{brief(name)} cannot name {what}; {LETTERS}"


def name_problems(names: Iterable[str], reserved: Collection[str]) -> Iterator[str]:
    """What is wrong with the names of ports, states and parameters that stand side by side."""
    for name, count in Counter(names).items():
        if not NAME.fullmatch(name):
            yield f"{brief(name)} cannot name a port, state or parameter; {LETTERS}"
        if name in reserved:
            yield f"the name '{name}' is reserved"
        if count > 1:
            yield f"the name '{name}' is used twice"


def _numbers(entry: NeuronModel) -> Iterator[str]:
    params = [param.name for param in entry.params]
    for param in entry.params:
        numbers = [number for number in (param.default, param.low, param.high) if number is not None]
        if not all(is_number(number) for number in numbers):
            yield f"parameter '{param.name}' has a default or bound that is no finite number; None means none"
    for state in entry.states:
        if isinstance(state.init, str):
            if state.init not in params:
                yield f"state '{state.name}' starts from '{state.init}', which is no parameter"
        elif not is_number(state.init):
            yield f"state '{state.name}' starts from {state.init!r}; give a finite number"


def _equations(entry: NeuronModel, known: set[str]) -> Iterator[str]:
    states = [state.name for state in entry.states]
    yield from _stray("integrate", entry.integrate, states, known)
    for kind, equations in entry.resets.items():
        changed = {name: value for name, value in equations.items() if entry.integrate.get(name) is not value}
        yield from _stray(f"reset '{kind}'", changed, states, known | {"reset"})
    for timing, table in entry.post.items():
        for kind, equations in table.items():
            where = f"timing '{timing}', reset '{kind}'"
            yield from _stray(where, equations, states, known | {"reset", "spike"})
    if entry.fire is None:
        for state in states:
            if state not in entry.integrate:
                yield f"state '{state}' has no equation, and a neuron that never fires has no output to keep"
        for kind in sorted(set(entry.resets) - {"none"}):
            yield f"it never fires, so its reset '{kind}' would do nothing; give a fire condition"
    else:
        yield from _stray("fire", {"": entry.fire}, [""], known - {*entry.ports, *entry.noise})
        if entry.count is not None:
            yield from _stray("count", {"": entry.count}, [""], known - {*entry.ports, *entry.noise})
        if SPK in entry.integrate:
            yield f"state '{SPK}' has an equation, but that is the name of the output; choose another"


def _stray(
    where: str, equations: Mapping[str, Expr], states: Collection[str], allowed: Collection[str]
) -> Iterator[str]:
    for state, equation in equations.items():
        if state not in states:
            yield f"{where} gives a value to '{state}', which is no state"
        unknown = sorted(free_variables(equation).difference(allowed))
        if unknown:
            yield f"{where} uses {listing(unknown)}; declare it as a port, state or parameter"
        for table in sorted(tables(equation)):
            yield f"{where} reads the table '{table}'; only a quantised neuron has one, of its new states"
        if equation.sort != "real":
            yield f"{where} must be a number, not a condition: {equation!r}"


def _timings(entry: NeuronModel) -> Iterator[str]:
    for timing, table in entry.post.items():
        if timing not in TIMINGS:
            yield f"unknown timing '{timing}'; known: {', '.join(TIMINGS)}"
        for kind in table:
            if kind not in entry.resets:
                yield f"timing '{timing}' speaks of reset '{kind}', which is none of the model's"
    for kind in entry.resets:
        if not any(kind in table for table in entry.post.values()):
            yield f"no timing says what follows a spike under reset '{kind}'"
