"""A neuron model from equations as one writes them down."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from snnhw.errors import ExpressionError, ProgramError
from snnhw.ir.expr import Expr, greater, substitute, var, where
from snnhw.ir.models import RESET, SPIKE, NeuronModel, model
from snnhw.ir.params import Param, State
from snnhw.ir.parse import parse
from snnhw.words import brief

__all__ = ["OWN", "written"]

OWN: Final = "own"
"""Name of the reset that a model brings along."""

Equation = Expr | str | float


def written(
    name: str,
    *,
    states: str | Mapping[str, float],
    equations: Mapping[str, Equation],
    fire: Equation | None,
    params: Mapping[str, float | None] | Iterable[Param] = (),
    reset: Mapping[str, Equation] | None = None,
    inputs: str = "x",
) -> NeuronModel:
    """The model that `snnhw.neuron` makes a module of; see there.

    Raises:
        ProgramError: listing every inconsistency.
        ExpressionError: an equation that cannot be read; names it.
    """
    keeps = dict.fromkeys(states.split(), 0.0) if isinstance(states, str) else dict(states)
    known = _with_definitions(name, equations, keeps)
    integrate = {state: known[state] for state in keeps if state in equations}
    after = {state: _read(f"{name}: reset of {state}", text) for state, text in (reset or {}).items()}
    stray = sorted(set(after) - set(keeps))
    if stray:
        raise ProgramError(f"model {brief(name)}: its reset gives a value to '{stray[0]}', which is no state")
    own = {OWN: _before_integrating(integrate, after)} if after else None
    spiking = {state: (1.0 - SPIKE) * var(state) + SPIKE * value for state, value in after.items()}
    return model(
        name,
        states=tuple(State(state, float(start)) for state, start in keeps.items()),
        params=_params(params),
        integrate=integrate,
        fire=None if fire is None else _difference(_read(f"{name}: fire", fire)),
        resets=own,
        post={"immediate": {OWN: spiking}} if after else None,
        ports=tuple(inputs.split()),
        membrane=None if after else "mem",
        reset=OWN if after else None,
    )


def _params(params: Mapping[str, float | None] | Iterable[Param]) -> tuple[Param, ...]:
    if isinstance(params, Mapping):
        return tuple(Param(name, None if value is None else float(value)) for name, value in params.items())
    return tuple(params)


def _with_definitions(
    name: str, equations: Mapping[str, Equation], states: Collection[str]
) -> dict[str, Expr]:
    """Every equation, those of names that are no states put in where later ones use them."""
    found: dict[str, Expr] = {}
    definitions: dict[str, Expr] = {}
    for key, text in equations.items():
        (found[key],) = substitute([_read(f"{name}: {key}", text)], definitions)
        if key not in states:
            definitions[key] = found[key]
    return found


def _read(where_: str, equation: Equation) -> Expr:
    if isinstance(equation, Expr):
        return equation
    try:
        return parse(equation if isinstance(equation, str) else repr(equation))
    except ExpressionError as error:
        raise ExpressionError(f"{where_}: {error}") from None


def _difference(condition: Expr) -> Expr:
    """What is compared with 0: ``a - b`` of ``a > b``."""
    return condition.args[0] - condition.args[1] if condition.op == "greater" else condition


def _before_integrating(integrate: Mapping[str, Expr], after: Mapping[str, Expr]) -> dict[str, Expr]:
    """The equations from states of which those that fired are reset first, so that a reset which shows a
    step late changes no spike."""
    flag = greater(RESET, 0.5)
    by = {state: where(flag, value, var(state)) for state, value in after.items()}
    return dict(zip(integrate, substitute(list(integrate.values()), by), strict=True))
