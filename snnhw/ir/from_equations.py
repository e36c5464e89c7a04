"""A neuron model from equations as one writes them down."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from snnhw.errors import ExpressionError, ProgramError
from snnhw.ir.expr import Expr, free_variables, greater, substitute, var, where
from snnhw.ir.models import RESET, SPIKE, NeuronModel, model
from snnhw.ir.models.consistency import SPK
from snnhw.ir.params import Param, State
from snnhw.ir.parse import parse
from snnhw.words import brief, did_you_mean

__all__ = ["OWN", "written"]

OWN: Final = "own"
"""Name of the reset that a model brings along."""

MEMBRANE: Final = "mem"
THRESHOLD: Final = "threshold"
"""The state and the parameter that snnTorch's resets act on, and by."""

NAMED: Final = ("none", "subtract", "zero")
"""Resets that have a name: none at all, and snnTorch's two."""

Equation = Expr | str | float

Reset = Mapping[str, Equation] | str | None


def written(
    name: str,
    *,
    states: str | Mapping[str, float],
    equations: Mapping[str, Equation],
    fire: Equation | None,
    params: Mapping[str, float | None] | Iterable[Param] = (),
    reset: Reset = None,
    noise: str = "",
    inputs: str = "x",
) -> NeuronModel:
    """The model that `snnhw.neuron` makes a module of; see there.

    Raises:
        ProgramError: listing every inconsistency.
        ExpressionError: an equation that cannot be read; names it.
    """
    keeps = dict.fromkeys(states.split(), 0.0) if isinstance(states, str) else dict(states)
    known, spec = _with_definitions(name, equations, keeps), _params(params)
    integrate = {state: known[state] for state in keeps if state in equations}
    _require_equations(name, keeps, equations, fires=fire is not None)
    usual, given = _reset_of(name, reset, keeps, spec, fires=fire is not None)
    after = {state: _read(f"{name}: reset of {state}", text) for state, text in given.items()}
    _refuse_inputs(name, after, [*inputs.split(), *noise.split()])
    own = {OWN: _before_integrating(integrate, after)} if after else None
    spiking = {state: (1.0 - SPIKE) * var(state) + SPIKE * value for state, value in after.items()}
    return model(
        name,
        states=tuple(State(state, float(start)) for state, start in keeps.items()),
        params=spec,
        integrate=integrate,
        fire=None if fire is None else _difference(_read(f"{name}: fire", fire)),
        resets=own,
        post={"immediate": {OWN: spiking}} if after else None,
        ports=tuple(inputs.split()),
        membrane=None if after else MEMBRANE,
        threshold=THRESHOLD,
        reset=usual,
        noise=tuple(noise.split()),
    )


def _require_equations(
    name: str, states: Collection[str], equations: Collection[str], *, fires: bool
) -> None:
    """A state stays as it is where that is written, not where its equation was forgotten."""
    free = {SPK} if fires else set()
    missing = [state for state in states if state not in equations and state not in free]
    if not missing:
        return
    first, others = missing[0], [other for other in equations if other not in states]
    raise ProgramError(
        f"model {brief(name)}: state {brief(first)} has no equation; give it one, such as "
        f"{{{first!r}: {first!r}}} if it stays as it is between spikes. Only a state named '{SPK}', which is "
        f"the neuron's own last output, needs none.{did_you_mean(first, others)}"
    )


def _reset_of(
    name: str, reset: Reset, states: Collection[str], params: Collection[Param], *, fires: bool
) -> tuple[str | None, Mapping[str, Equation]]:
    """The name of the usual reset, None where there is no choice, and what an own one does to each state."""
    where_ = f"model {brief(name)}"
    if isinstance(reset, Mapping):
        return OWN, _own(where_, reset, states)
    standard = _standard(states, params)
    ways = f"give reset={{state: its value after a spike}}, or {_listed(standard)}"
    if not fires:
        if reset not in (None, "none"):
            never = "it never fires (fire=None), so that"
            raise ProgramError(f"{where_}: {never} reset={brief(reset)} has no effect; leave it out")
        return None, {}
    if reset is None:
        if "subtract" not in standard:
            raise ProgramError(
                f"{where_}: it fires, and nothing says what a spike does to its states; {ways}. Without any, "
                f"snnTorch's reset by subtraction acts on a state '{MEMBRANE}' by a parameter '{THRESHOLD}'"
            )
        return "subtract", {}
    if reset not in standard:
        needs = {"subtract": f" and a parameter '{THRESHOLD}'"}.get(str(reset), "")
        why = f": that takes a state '{MEMBRANE}'{needs}" if reset in NAMED else ""
        raise ProgramError(f"{where_}: reset={brief(reset)}{why}; {ways}")
    return str(reset), {}


def _own(where_: str, reset: Mapping[str, Equation], states: Collection[str]) -> Mapping[str, Equation]:
    stray = sorted(set(reset) - set(states))
    if stray:
        raise ProgramError(
            f"{where_}: its reset gives a value to {brief(stray[0])}, which is no state."
            f"{did_you_mean(stray[0], list(states))}"
        )
    if not reset:
        raise ProgramError(f"{where_}: reset={{}} gives no state a value; give one, or reset='none'")
    return reset


def _refuse_inputs(name: str, after: Mapping[str, Expr], inputs: Collection[str]) -> None:
    """A reset that is carried out when the next step begins would read the input of another step."""
    for state, value in after.items():
        if read := sorted(free_variables(value) & set(inputs)):
            raise ProgramError(
                f"model {brief(name)}: reset of {state} uses the input '{read[0]}'; it reads parameters, and "
                "states at the spike, so keep the input in a state of its own"
            )


def _standard(states: Collection[str], params: Collection[Param]) -> list[str]:
    """Resets that need no more than their name here."""
    membrane = MEMBRANE in states
    offered = {
        "none": True,
        "subtract": membrane and any(param.name == THRESHOLD for param in params),
        "zero": membrane,
    }
    return [kind for kind in NAMED if offered[kind]]


def _listed(kinds: list[str]) -> str:
    said = {"none": "reset='none' if a spike changes nothing"}
    return ", or ".join(said.get(kind, f"reset='{kind}'") for kind in reversed(kinds))


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
