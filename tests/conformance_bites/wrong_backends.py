"""Backends that are wrong on purpose: the reference, one thing in it spoilt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from snnhw.errors import Unsupported
from snnhw.ir import (
    SGD,
    Conv2d,
    Expr,
    FrozenMap,
    Linear,
    Loss,
    Model,
    Neuron,
    Op,
    Params,
    Program,
    Step,
    StraightThrough,
    clamp,
    heaviside,
    spike,
    stop_gradient,
    var,
)
from snnhw.ir.expr import replace as substitute
from snnhw.plugin import Arrays, Capabilities, Executable, Result, Run, StepResult, Support, Train
from snnhw_reference.plugin import ReferenceBackend, ReferenceOptions

__all__ = ["Around", "Attached", "Wrong", "ops"]

Job = Run | Train


def same(value: Any) -> Any:
    return value


@dataclass
class Wrong(ReferenceBackend):
    """The reference; each field is something it does before or after."""

    program: Callable[[Program], Program] = same
    params: Callable[[Params], Params] = same
    job: Callable[[Any], Any] = same
    claims: Callable[[Capabilities], Capabilities] = same
    around: Callable[[Executable], Executable] = same
    refuses: type[Op] | None = None

    def capabilities(self) -> Capabilities:
        return self.claims(super().capabilities())

    def compile(self, program: Program, params: Params, job: Job) -> Executable:
        if any(type(op) is self.refuses for op in program.nodes.values()):
            raise Unsupported(self.name, ["not today"])
        return self.around(super().compile(self.program(program), self.params(params), self.job(job)))


# -- Other programs -------------------------------------------------------------------------------


def ops(kind: type[Op], change: Callable[[Any], Op]) -> Callable[[Program], Program]:
    """Every op of a kind, changed."""

    def changed(program: Program) -> Program:
        nodes = {name: change(op) if type(op) is kind else op for name, op in program.nodes.items()}
        return replace(program, nodes=FrozenMap(nodes))

    return changed


def resets_at_once(neuron: Neuron) -> Neuron:
    """A reset a step too early."""
    return replace(neuron, timing="immediate") if neuron.timing == "delayed" else neuron


def fires_at_threshold(neuron: Neuron) -> Neuron:
    """``>=`` in place of ``>``: for numbers of a case, z + 2^-40 > 0 says the same."""
    fire = neuron.model.fire
    return neuron if fire is None else replace(neuron, model=replace(neuron.model, fire=fire + 2.0**-40))


def without_clamp(neuron: Neuron) -> Neuron:
    """Decays as they come, outside [0, 1] too."""
    beta = var("beta")
    return replace(neuron, model=rewritten(neuron.model, {clamp(beta, 0.0, 1.0): beta}))


def rewritten(model: Model, by: Mapping[Expr, Expr]) -> Model:
    """A model with other equations."""
    resets = FrozenMap({kind: with_equations(table, by) for kind, table in model.resets.items()})
    return replace(model, integrate=with_equations(model.integrate, by), resets=resets)


def with_equations(table: Mapping[str, Expr], by: Mapping[Expr, Expr]) -> FrozenMap[str, Expr]:
    return FrozenMap(zip(table, substitute(list(table.values()), by), strict=True))


@dataclass(frozen=True)
class Attached(Neuron):
    """A neuron whose reset flag passes gradients on, as its spikes do."""

    def step(self) -> Step:
        step, stored = super().step(), self.model.fire
        if stored is None:
            return step
        by = {stop_gradient(heaviside(stored)): spike(stored, self.surrogate)}
        updates, outputs = (with_equations(table, by) for table in (step.updates, step.outputs))
        return replace(step, updates=updates, outputs=outputs)


def attached(neuron: Neuron) -> Neuron:
    """A reset that is not detached."""
    return Attached(**{item.name: getattr(neuron, item.name) for item in fields(neuron)})


def straight_through(neuron: Neuron) -> Neuron:
    """One surrogate for all."""
    return replace(neuron, surrogate=neuron.surrogate and StraightThrough())


def swaps_stride(conv: Conv2d) -> Conv2d:
    """Height for width."""
    return replace(conv, stride=conv.stride[::-1])


def delays_the_product(program: Program) -> Program:
    """A delay behind the Linear in place of in front of it: the bias is lost at the first step."""
    late = {
        edge.target.node
        for edge in program.edges
        if edge.delay == 1 and isinstance(program.nodes[edge.target.node], Linear)
    }
    edges = [
        replace(edge, delay=0)
        if edge.target.node in late
        else replace(edge, delay=1)
        if edge.source.node in late
        else edge
        for edge in program.edges
    ]
    return replace(program, edges=tuple(edges))


def backwards(program: Program) -> Program:
    """Edges added up from right to left."""
    return replace(program, edges=program.edges[::-1])


def starts_delays_at_zero(program: Program) -> Program:
    return replace(program, edges=tuple(replace(edge, init=0.0) for edge in program.edges))


def hurries(program: Program) -> Program:
    """Every delay a step long."""
    return replace(program, edges=tuple(replace(edge, delay=min(edge.delay, 1)) for edge in program.edges))


def fixes_thresholds(program: Program) -> Program:
    """The gradient of the threshold, dropped."""
    return replace(program, trainable=frozenset(key for key in program.trainable if "threshold" not in key))


def forgets_bias(params: Params) -> Params:
    return {key: np.zeros_like(x) if key.endswith(".bias") else x for key, x in params.items()}


def reverses_levels(params: Params) -> Params:
    """At a midpoint the upper level in place of the lower."""
    return {key: x[::-1].copy() if key.endswith(".levels") else x for key, x in params.items()}


# -- Other jobs -----------------------------------------------------------------------------------


def training(**changes: Any) -> Callable[[Any], Any]:
    """A training job with something in it changed; other jobs as they are."""

    def changed(job: Any) -> Any:
        return replace(job, **changes) if isinstance(job, Train) else job

    return changed


def at_its_usual_dtype(job: Any) -> Any:
    """Whatever dtype is asked for."""
    return replace(job, options=ReferenceOptions())


def plain_descent(job: Any) -> Any:
    """Neither momentum nor decay."""
    return replace(job, optimizer=SGD(lr=job.optimizer.lr)) if isinstance(job, Train) else job


def unweighted(job: Any) -> Any:
    """Every term of a loss counts the same."""
    if not isinstance(job, Train):
        return job
    return replace(job, loss=Loss(tuple(replace(term, weight=1.0) for term in job.loss.terms)))


# -- Other claims ---------------------------------------------------------------------------------


def without(kind: type[Op]) -> Callable[[Capabilities], Capabilities]:
    """Claims less than it runs: a fallback that nobody is told of."""
    return lambda can: replace(can, ops={op: how for op, how in can.ops.items() if op is not kind})


class Everything(dict[type[Op], Support]):
    """Claims whatever it is asked for."""

    def get(self, op: type[Op], default: Any = None) -> Support:
        return Support()


def everything(can: Capabilities) -> Capabilities:
    return replace(can, ops=Everything())


class Anything(frozenset[type]):
    """Claims whatever it is asked for."""

    def __contains__(self, kind: object) -> bool:
        return True


def any_training(can: Capabilities) -> Capabilities:
    return replace(can, losses=Anything(), optimizers=Anything())


@dataclass(frozen=True)
class Emulating(ReferenceOptions):
    """Options of a backend that may be emulated."""

    emulate: bool = False


@dataclass
class Quiet(Wrong):
    """Emulates when asked to, and does not say so."""

    Options = Emulating


# -- Other executables ----------------------------------------------------------------------------


class Around:
    """An executable that does as another does."""

    def __init__(self, inner: Executable) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *raised: object) -> None:
        self.inner.close()


class Forgetful(Around):
    """Starts from rest whatever it is given."""

    def run(self, inputs: Arrays, state: Arrays | None = None) -> Result:
        return self.inner.run(inputs)

    def step(self, inputs: Arrays, targets: Arrays, state: Arrays | None = None) -> StepResult:
        return self.inner.step(inputs, targets)


class Changed(Around):
    """Returns something else for every port."""

    def change(self, port: str, x: Any) -> Any:
        return x

    def run(self, inputs: Arrays, state: Arrays | None = None) -> Result:
        found = self.inner.run(inputs, state)
        return Result(self.changed(found.outputs), self.changed(found.recordings), found.state)

    def changed(self, arrays: Arrays) -> dict[str, Any]:
        return {name: self.change(name, x) for name, x in arrays.items()}


class Shuffled(Changed):
    """The samples of a batch in another order."""

    def change(self, port: str, x: Any) -> Any:
        return np.roll(x, 1, axis=1)


class Halved(Changed):
    """Membranes in half precision."""

    def change(self, port: str, x: Any) -> Any:
        return x.astype(np.float16).astype(x.dtype) if port.endswith(".mem") else x


class Narrowed(Changed):
    """Computed in double precision, returned in single: rounded once where each operation should be."""

    def change(self, port: str, x: Any) -> Any:
        return x.astype(np.float32)

    def run(self, inputs: Arrays, state: Arrays | None = None) -> Result:
        found = super().run(inputs, state)
        ends = {key: self.change(key, x) for key, x in found.state.items()}
        return Result(found.outputs, found.recordings, ends)


class Noisy(Changed):
    """Never twice the same."""

    def __init__(self, inner: Executable) -> None:
        super().__init__(inner)
        self.noise = _noise()

    def change(self, port: str, x: Any) -> Any:
        return x + next(self.noise)


def _noise() -> Iterator[float]:
    generator = np.random.default_rng(0)
    while True:
        yield float(generator.normal() * 1e-9)


class Trigger(Changed):
    """One spike in a thousand, wherever its membrane is."""

    def change(self, port: str, x: Any) -> Any:
        if not port.endswith(".spk"):
            return x
        flips = np.random.default_rng(1).random(x.shape) < 1e-3
        return np.where(flips, 1 - x, x)


class Amnesiac(Around):
    """Saves parameters, but nothing that the optimizer remembers."""

    def save_state(self) -> Arrays:
        saved = self.inner.save_state()
        return {name: x for name, x in saved.items() if not name.startswith("optimizer/")}


class Stubborn(Around):
    """Keeps the learning rate it was compiled with."""

    def set_optimizer(self, optimizer: object) -> None:
        pass


class Disturbed(Around):
    """Drops what it has accumulated when it is run."""

    def run(self, inputs: Arrays, state: Arrays | None = None) -> Result:
        found = self.inner.run(inputs, state)
        saved = {name: x for name, x in self.inner.save_state().items() if not name.startswith("grad/")}
        self.inner.load_state(saved | {"pending": np.array(0)})
        return found


class Possessive(Around):
    """Returns the same buffers every time."""

    def __init__(self, inner: Executable) -> None:
        super().__init__(inner)
        self.buffers: dict[str, np.ndarray] = {}

    def run(self, inputs: Arrays, state: Arrays | None = None) -> Result:
        found = self.inner.run(inputs, state)
        for name, x in found.recordings.items():
            self.buffers.setdefault(name, x)[...] = x
        return Result(found.outputs, dict(self.buffers), found.state)


class Deaf(Around):
    """Takes no parameters once it is compiled."""

    def set_params(self, params: Params) -> None:
        pass
