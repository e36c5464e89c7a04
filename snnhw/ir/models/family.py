"""What a neuron model is: equations, a table of resets, and when a reset acts.

One step, in this order: the reset flag R from the stored states; integrate and reset; quantise; the
spike h; what the timing does after firing; the output ``h * graded_spikes_factor``. R is 1 where
the fire condition held for the *stored* states, and is a constant to the gradient.

Timings:
    delayed    a reset shows one step after its spike (snnTorch's default).
    retest     ``delayed``, then ``h - R`` of the reset at once: snnTorch's ``reset_delay=False``.
    immediate  no R at all; the reset follows the spike within the step (textbooks, NIR).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar, Final

from snnhw.errors import ProgramError
from snnhw.ir.expr import (
    Expr,
    free_variables,
    graft,
    heaviside,
    read_forward,
    stop_gradient,
    substitute,
    tables,
    var,
    where,
)
from snnhw.ir.frozen import FrozenMap, freeze
from snnhw.ir.identity import LATER
from snnhw.ir.models.consistency import SPK, TIMINGS, problems
from snnhw.ir.params import Param, State
from snnhw.ir.surrogates.base import NOISE
from snnhw.ir.surrogates.custom import Opaque
from snnhw.words import brief

__all__ = ["MODELS", "RESET", "SPIKE", "TIMINGS", "NeuronModel", "StepEquations", "model", "register"]

RESET: Final = var("reset")
"""R in a table of resets: 1.0 where the stored states were above threshold, else 0.0."""

SPIKE: Final = var("spike")
"""h in a table of what happens after firing: how often the neuron fires now, 1.0 or 0.0 unless the model has
a count."""

Equations = FrozenMap[str, Expr]  # state -> expression


@dataclass(frozen=True)
class NeuronModel:
    """A family of neurons. Build one with `model`.

    Attributes:
        name: for people, files and error messages.
        states: in the order in which a call returns them.
        params: in the order in which a constructor takes them.
        integrate: state -> its next value without any reset, from stored states, ports and params.
        resets: kind -> state -> its next value when R is given; complete equations.
        post: timing -> kind -> state -> its value after firing, from new states, h and R. A kind that
            is not there is not offered under that timing.
        fire: the fire condition z; the neuron fires where z > 0. None: it never fires.
        ports: its inputs.
        reset: the kind a front end takes when the user names none.
        noise: variables that hold a random number in [0, 1), another for every element and step.
        count: how often it fires in a step in which it does, from new states and params; None: once. The
            surrogate's derivative is that at z, so z is best how far the membrane is above the last threshold
            that it has crossed.
    """

    known_as: ClassVar[str] = "Model"  # see `snnhw.ir.identity`

    name: str
    states: tuple[State, ...]
    params: tuple[Param, ...]
    integrate: Equations
    resets: FrozenMap[str, Equations]
    post: FrozenMap[str, FrozenMap[str, Equations]]
    fire: Expr | None
    ports: tuple[str, ...] = ("x",)
    reset: str = "subtract"
    noise: tuple[str, ...] = ()
    count: Expr | None = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        freeze(self, "integrate", "resets", "post")
        found = problems(self)
        if found:
            raise ProgramError([f"model {brief(self.name)}: {problem}" for problem in found])

    @property
    def kinds(self) -> tuple[str, ...]:
        """The resets it knows."""
        return tuple(self.resets)

    @property
    def timings(self) -> tuple[str, ...]:
        """The timings it knows."""
        return tuple(self.post)

    def timings_of(self, kind: str) -> tuple[str, ...]:
        """The timings under which it knows what a reset does."""
        return tuple(timing for timing, table in self.post.items() if kind in table)


@dataclass(frozen=True, eq=False)
class StepEquations:
    """One step of a pointwise node, composed: what every backend derives its kernel from.

    Equal neurons share one object, so that identity serves as the key of whatever is derived from it.

    Attributes:
        ports: names of its inputs; behind those of the node stand its ``noise``.
        states: what it carries.
        params: names of the parameters its expressions read, tables apart.
        tables: names of the tables that ``nearest`` reads.
        updates: state -> next value.
        outputs: output port -> value; ``spk`` first where it fires, then every state.
        fire: what is compared with 0, from the next states; for margins. None: it never fires.
        opaque: the surrogate, where the expressions cannot say its derivative.
        noise: inputs that whoever runs it draws, uniform in [0, 1) (see `snnhw.ir.noise`).
        drawn: those of them that values depend on; the others are read by derivatives only.
    """

    ports: tuple[str, ...]
    states: tuple[State, ...]
    params: tuple[str, ...]
    updates: Equations
    outputs: FrozenMap[str, Expr]
    tables: tuple[str, ...] = ()
    fire: Expr | None = field(default=None)
    opaque: Opaque | None = None
    noise: tuple[str, ...] = ()
    drawn: tuple[str, ...] = ()


MODELS: Final[dict[str, NeuronModel]] = {}
"""Every registered model by name."""


def register(entry: NeuronModel) -> NeuronModel:
    """Make a model known by its name: to front ends, to the conformance suite, to documentation."""
    if MODELS.setdefault(entry.name, entry) != entry:
        raise ProgramError(f"another model is already registered as '{entry.name}'; choose another name")
    return entry


def model(
    name: str,
    *,
    states: str | tuple[State, ...],
    params: tuple[Param, ...],
    integrate: Mapping[str, Expr],
    fire: Expr | None,
    resets: Mapping[str, Mapping[str, Expr]] | None = None,
    post: Mapping[str, Mapping[str, Mapping[str, Expr]]] | None = None,
    ports: tuple[str, ...] = ("x",),
    membrane: str | None = "mem",
    threshold: str = "threshold",
    reset: str | None = None,
    noise: tuple[str, ...] = (),
    count: Expr | None = None,
) -> NeuronModel:
    """A model from its equations; what most models share is filled in.

    Args:
        states: names in one string, or `State` values.
        integrate: state -> next value. A state left out keeps the neuron's last output, which is how
            a neuron that feeds itself is written.
        fire: z; None for a neuron that never fires, which then has no resets.
        resets: kinds that differ from the rule below, or that it lacks.
        post: timing -> kind -> state -> value after firing, likewise. A kind of the model's own, or one
            that resets more than the membrane, is offered under ``delayed``, and under the timings for
            which this says what it does.
        membrane: the state that the standard resets act on: ``subtract`` takes ``R * threshold``
            from its integrated value where there is such a parameter, ``zero`` multiplies it by
            ``1 - R``, ``none`` leaves it. None: there are no standard resets.
        reset: the kind meant when a user names none; by default ``subtract`` where the model has it.
        noise: variables that hold a random number in [0, 1), another for every element and step; the fire
            condition reads none.
        count: how often it fires in a step in which it does; None: once.

    Raises:
        ProgramError: listing every inconsistency.
    """
    spec = tuple(State(item) for item in states.split()) if isinstance(states, str) else states
    base = FrozenMap(integrate)
    kinds: dict[str, Equations] = {"none": base}
    if fire is not None and membrane is not None and membrane in base:
        if any(param.name == threshold for param in params):
            kinds["subtract"] = base | {membrane: base[membrane] - RESET * var(threshold)}
        kinds["zero"] = base | {membrane: (1.0 - RESET) * base[membrane]}
    for kind, changed in (resets or {}).items():
        kinds[kind] = base | changed
    return NeuronModel(
        name=name,
        states=spec,
        params=params,
        integrate=base,
        resets=FrozenMap(kinds),
        post=_after_firing(membrane, threshold, kinds, post or {}),
        fire=fire,
        ports=ports,
        reset=reset or ("subtract" if "subtract" in kinds else "none"),
        noise=noise,
        count=count,
    )


def _after_firing(
    membrane: str | None,
    threshold: str,
    kinds: Mapping[str, Equations],
    own: Mapping[str, Mapping[str, Mapping[str, Expr]]],
) -> FrozenMap[str, FrozenMap[str, Equations]]:
    tables: dict[str, dict[str, Mapping[str, Expr]]] = {
        "delayed": {kind: {} for kind in kinds},
        "retest": {"none": {}},
        "immediate": {"none": {}},
    }
    if membrane is not None:
        mem, theta = var(membrane), var(threshold)
        standard: dict[str, dict[str, Mapping[str, Expr]]] = {
            "retest": {
                "subtract": {membrane: mem - (SPIKE - RESET) * theta},
                "zero": {membrane: mem - (SPIKE - RESET) * mem},
            },
            "immediate": {
                "subtract": {membrane: mem - SPIKE * theta},
                "subtract_beta": {membrane: mem - SPIKE * theta},  # decays in the next step
                "zero": {membrane: (1.0 - SPIKE) * mem},
            },
        }
        for timing, table in standard.items():
            tables[timing] |= {k: after for k, after in table.items() if _acts_on(membrane, kinds, k)}
    found = {}
    for timing in {**tables, **own}:
        table = {**tables.get(timing, {}), **own.get(timing, {})}
        found[timing] = FrozenMap({kind: FrozenMap(after) for kind, after in table.items()})
    return FrozenMap(found)


def _acts_on(membrane: str, kinds: Mapping[str, Equations], kind: str) -> bool:
    """Whether the model has this reset, and it changes the membrane alone."""
    base = kinds["none"]
    return kind in kinds and all(
        value is base.get(state) for state, value in kinds[kind].items() if state != membrane
    )


def compose(
    entry: NeuronModel,
    *,
    kind: str,
    timing: str,
    spike: Callable[[Expr], Expr],
    quantise: Callable[[Expr], Expr] | None = None,
    graded: Expr | None = None,
) -> StepEquations:
    """One step of the model under one reset, timing, surrogate and option.

    Args:
        spike: z -> h, with the surrogate's gradient grafted on.
        quantise: applied to every new state before firing; None for none.
        graded: factor of the output; None for 1.
    """
    if entry.fire is None:
        return _silent(entry, quantise)
    names = [state.name for state in entry.states]
    flag = stop_gradient(heaviside(entry.fire))
    equations = entry.integrate if timing == "immediate" else entry.resets[kind]
    new = dict(zip(equations, substitute(list(equations.values()), {"reset": flag}), strict=True))
    if quantise is not None:
        new = {state: quantise(value) for state, value in new.items()}
    z, *count = substitute([entry.fire, *([] if entry.count is None else [entry.count])], new)
    h = spike(z) if not count else _times(spike(z), *count)
    post = entry.post[timing][kind]
    after = substitute(list(post.values()), {**new, "spike": h, "reset": flag})
    new |= dict(zip(post, after, strict=True))
    output = h if graded is None else h * graded
    updates = FrozenMap({name: new.get(name, output) for name in names})
    outputs = FrozenMap({SPK: output, **{name: updates[name] for name in names}})
    return _step(entry.ports, entry.states, updates, outputs, z, noise=(*entry.noise, NOISE))


def _times(once: Expr, count: Expr) -> Expr:
    """So many spikes where there would be one, with the derivatives of that one."""
    value, *pairs = once.args
    condition, _, none = value.args
    return graft(where(condition, count, none), dict(zip(pairs[::2], pairs[1::2], strict=True)))


def _silent(entry: NeuronModel, quantise: Callable[[Expr], Expr] | None) -> StepEquations:
    new = {state.name: entry.integrate[state.name] for state in entry.states}
    if quantise is not None:
        new = {state: quantise(value) for state, value in new.items()}
    return _step(entry.ports, entry.states, FrozenMap(new), FrozenMap(new), None, noise=entry.noise)


def _step(
    ports: tuple[str, ...],
    states: tuple[State, ...],
    updates: Equations,
    outputs: FrozenMap[str, Expr],
    fire: Expr | None,
    *,
    noise: tuple[str, ...] = (),
) -> StepEquations:
    roots = [*updates.values(), *outputs.values()]
    random = tuple(name for name in noise if name in free_variables(*roots))
    known = {*ports, *random, *(state.name for state in states), "dt"}
    params = free_variables(*roots) | {s.init for s in states if isinstance(s.init, str)}
    return StepEquations(
        ports=(*ports, *random),
        states=states,
        params=tuple(sorted(params - known)),
        tables=tuple(sorted(tables(*roots))),
        updates=updates,
        outputs=outputs,
        fire=fire,
        noise=random,
        drawn=tuple(name for name in random if name in read_forward(*roots)),
    )


@lru_cache(maxsize=1024)
def pointwise_step(ports: tuple[str, ...], outputs: Mapping[str, Expr]) -> StepEquations:
    """The step of a node without states: its outputs are functions of its ports."""
    return _step(ports, (), FrozenMap(), FrozenMap(outputs), None)
