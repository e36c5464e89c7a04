"""Pointwise nodes: neurons, and stateless functions of their ports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import ClassVar

from snnhw.errors import ProgramError
from snnhw.ir.expr import Expr, nearest, var, where
from snnhw.ir.frozen import FrozenMap, freeze
from snnhw.ir.identity import LATER
from snnhw.ir.models.consistency import SPK, name_problems
from snnhw.ir.models.family import NeuronModel, StepEquations, compose, pointwise_step
from snnhw.ir.ops.base import Op, Shape, is_shape, need, op
from snnhw.ir.params import Param, ParamSpec
from snnhw.ir.surrogates import ATan, Opaque, Surrogate, spike
from snnhw.words import listing

__all__ = ["ALIVE", "Neuron", "Pointwise"]

ALIVE = "alive"
"""The further port of a neuron whose samples may end: 1 at steps that are theirs, 0 behind them."""

GRADED = Param("graded_spikes_factor", 1.0, about="value of an output spike")
LEVELS = "levels"
TABLE = ParamSpec((0,), kind="buffer", table=True)


@op
@dataclass(frozen=True)
class Neuron(Op):
    """A layer of neurons of one model. Ports broadcast against each other to the layer's shape.

    Attributes:
        model: its equations.
        reset: one of the model's resets; by default the model's own.
        timing: ``delayed``, ``retest`` or ``immediate`` (see `snnhw.ir.models.family`).
        surrogate: derivative of its spikes; None: no gradient passes a spike.
        graded: spikes are worth ``graded_spikes_factor``, a parameter, in place of 1.
        quantised: every new state is rounded to the nearest of the buffer ``levels``.
        param_shapes: parameter -> shape, for parameters that are not scalar. The rank is the layer's,
            with 1 where values are shared: ``(C, 1, 1)`` for one value per channel.
        ends: it has a further port ``alive``; where that is 0 its states stay as they are, and it is silent.
    """

    stateless: ClassVar[bool] = False
    any_port_tells: ClassVar[bool] = True  # the others broadcast to it, or the layer is refused

    model: NeuronModel
    reset: str = ""
    timing: str = "delayed"
    surrogate: Surrogate | None = field(default_factory=ATan)
    graded: bool = False
    quantised: bool = False
    param_shapes: FrozenMap[str, Shape] = field(default_factory=FrozenMap)
    ends: bool = field(default=False, metadata=LATER)

    def check(self) -> None:
        freeze(self, "param_shapes")
        need(
            self,
            isinstance(self.model, NeuronModel),
            "model",
            "a NeuronModel, such as snnhw.ir.MODELS['Leaky']",
        )
        object.__setattr__(self, "reset", self.reset or self.model.reset)
        known, kinds = f"one of {self.model.name}'s", self.model.kinds
        need(self, self.reset in kinds, "reset", f"{known}: {', '.join(kinds)}")
        timings = self.model.timings_of(self.reset)
        need(self, self.timing in timings, "timing", f"{known} for '{self.reset}': {', '.join(timings)}")
        sound = self.surrogate is None or isinstance(self.surrogate, Surrogate)
        need(self, sound, "surrogate", "a value such as ATan(), or None for no gradient")
        names = [param.name for param in _params_of(self)]
        _check_shapes(self, self.param_shapes, names)
        taken = {*self.model.ports, *self.model.noise, *names, *(state.name for state in self.model.states)}
        need(self, not (self.ends and ALIVE in taken), "ends", f"a model that names nothing '{ALIVE}' itself")

    @property
    def in_ports(self) -> tuple[str, ...]:
        return (*self.model.ports, *[ALIVE] * self.ends)

    @property
    def out_ports(self) -> tuple[str, ...]:
        states = [state.name for state in self.model.states if state.name != SPK]
        return tuple(states) if self.model.fire is None else (SPK, *states)

    @property
    def clocked(self) -> bool:
        return bool(self.equations().noise)

    def equations(self) -> StepEquations:
        """Its equations for one step, composed.

        Raises:
            ExpressionError: a constant in them has no finite value once they are put together.
        """
        return _neuron_step(self)

    def params(self) -> Mapping[str, ParamSpec]:
        specs = _specs(_params_of(self), self.param_shapes)
        if self.quantised:
            specs[LEVELS] = TABLE
        return specs

    def infer(self, shapes: Mapping[str, Shape]) -> Mapping[str, Shape]:
        return dict.fromkeys(self.out_ports, _broadcast(shapes, self.param_shapes))

    def summary(self) -> str:
        words = [
            self.model.name,
            self.reset,
            self.timing,
            repr(self.surrogate) if self.surrogate else "no gradient",
        ]
        words += [word for word in ("graded", "quantised", "ends") if getattr(self, word)]
        words += [f"{name}{list(shape)}" for name, shape in self.param_shapes.items()]
        return " ".join(words)


@op
@dataclass(frozen=True)
class Pointwise(Op):
    """Stateless functions of the ports, element by element.

    Attributes:
        outputs: output port -> expression of ports and parameters.
        ports: its inputs, which broadcast against each other.
        parameters: what the expressions read besides ports; one that ``nearest`` reads is a table.
        param_shapes: as for `Neuron`.
    """

    any_port_tells: ClassVar[bool] = True  # as for a neuron

    outputs: FrozenMap[str, Expr]
    ports: tuple[str, ...] = ("x",)
    parameters: tuple[Param, ...] = ()
    param_shapes: FrozenMap[str, Shape] = field(default_factory=FrozenMap)

    def check(self) -> None:
        freeze(self, "outputs", "param_shapes")
        names = [param.name for param in self.parameters]
        misnamed = [*name_problems([*self.ports, *names], {"dt"}), *name_problems(list(self.outputs), set())]
        if misnamed:
            raise ProgramError([f"Pointwise: {problem}" for problem in misnamed])
        real = all(isinstance(expr, Expr) and expr.sort == "real" for expr in self.outputs.values())
        need(self, bool(self.outputs) and real, "outputs", "at least one port and its expression, a number")
        need(self, bool(self.ports), "ports", "at least one port, or it would have no shape")
        stray = sorted({*self.equations().params, *self.equations().tables} - set(names))
        need(self, not stray, "outputs", f"expressions of ports and parameters only; not of {listing(stray)}")
        _check_shapes(self, self.param_shapes, names)

    @property
    def in_ports(self) -> tuple[str, ...]:
        return self.ports

    @property
    def out_ports(self) -> tuple[str, ...]:
        return tuple(self.outputs)

    def equations(self) -> StepEquations:
        """Its expressions, as the step of a neuron without states."""
        return pointwise_step(self.ports, self.outputs)

    def params(self) -> Mapping[str, ParamSpec]:
        specs = _specs(self.parameters, self.param_shapes)
        return specs | dict.fromkeys(self.equations().tables, TABLE)

    def infer(self, shapes: Mapping[str, Shape]) -> Mapping[str, Shape]:
        return dict.fromkeys(self.out_ports, _broadcast(shapes, self.param_shapes))

    def summary(self) -> str:
        return "Pointwise " + ", ".join(f"{port}={expr!r}" for port, expr in self.outputs.items())


@lru_cache(maxsize=1024)
def _neuron_step(neuron: Neuron) -> StepEquations:
    found = compose(
        neuron.model,
        kind=neuron.reset,
        timing=neuron.timing,
        spike=lambda z: spike(z, neuron.surrogate),
        quantise=(lambda value: nearest(value, LEVELS)) if neuron.quantised else None,
        graded=var(GRADED.name) if neuron.graded else None,
    )
    found = replace(found, opaque=neuron.surrogate) if isinstance(neuron.surrogate, Opaque) else found
    return _ending(found) if neuron.ends else found


def _ending(step: StepEquations) -> StepEquations:
    """The same step, where a sample is alive; else the states it has, and no spike."""
    alive, own = var(ALIVE) > 0.5, len(step.ports) - len(step.noise)
    updates = {state: where(alive, new, var(state)) for state, new in step.updates.items()}
    silent = {port: where(alive, value, 0.0) for port, value in step.outputs.items()}
    return replace(
        step,
        ports=(*step.ports[:own], ALIVE, *step.ports[own:]),
        updates=FrozenMap(updates),
        outputs=FrozenMap({port: updates.get(port, value) for port, value in silent.items()}),
    )


def _params_of(neuron: Neuron) -> tuple[Param, ...]:
    return (*neuron.model.params, GRADED) if neuron.graded else neuron.model.params


def _specs(params: Iterable[Param], shapes: Mapping[str, Shape]) -> dict[str, ParamSpec]:
    return {param.name: ParamSpec(shapes.get(param.name, ()), default=param.default) for param in params}


def _check_shapes(instance: Op, shapes: Mapping[str, Shape], names: list[str]) -> None:
    stray = sorted(set(shapes) - set(names))
    need(instance, not stray, "param_shapes", f"shapes of {listing(names)}; not of {listing(stray)}")
    sound = all(is_shape(shape) for shape in shapes.values())
    need(instance, sound, "param_shapes", "tuples of positive integers")


def _broadcast(shapes: Mapping[str, Shape], params: Mapping[str, Shape]) -> Shape:
    shape: Shape = ()
    for given in shapes.values():
        shape = _wider(shape, given, shapes)
    for name, given in params.items():
        fits = len(given) == len(shape) and all(g in (1, s) for g, s in zip(given, shape, strict=True))
        if given and not fits:
            raise ProgramError(
                f"parameter '{name}' of shape {given} does not fit a layer of shape {shape}; give a scalar, "
                f"or {len(shape)} axes of which each is 1 or the layer's"
            )
    return shape


def _wider(a: Shape, b: Shape, all_shapes: Mapping[str, Shape]) -> Shape:
    rank = max(len(a), len(b))
    a, b = (1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b
    if any(m != n and 1 not in (m, n) for m, n in zip(a, b, strict=True)):
        listed = ", ".join(f"{port} {shape}" for port, shape in all_shapes.items())
        raise ProgramError(f"its inputs do not broadcast to one shape: {listed}")
    return tuple(max(m, n) for m, n in zip(a, b, strict=True))
