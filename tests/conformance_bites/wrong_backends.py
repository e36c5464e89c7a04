"""Backends that are wrong on purpose: the reference, one thing in it spoilt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from snnhw.errors import Unsupported
from snnhw.ir import (
    SGD,
    BatchNorm1d,
    Conv2d,
    Dropout,
    Expr,
    FastSigmoid,
    FrozenMap,
    Linear,
    Loss,
    Neuron,
    NeuronModel,
    Op,
    Params,
    Pointwise,
    Program,
    StepEquations,
    StraightThrough,
    clamp,
    graft,
    heaviside,
    spike,
    stop_gradient,
    topological,
    var,
)
from snnhw.ir.expr import replace as substitute
from snnhw.plugin import Capabilities, Executable, Explanation, Probe, Run, Support, Train
from snnhw.reference import RULES
from snnhw.reference.arrays import reshape
from snnhw.reference.batchnorm import Moments, measure
from snnhw.reference.elementwise import add
from snnhw.reference.ops import OpContext
from snnhw.reference.tape import Var, constant
from snnhw_reference.plugin import ReferenceBackend, ReferenceOptions

__all__ = ["OWN", "Attached", "Sideways", "Wrong", "ops"]

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


def rewritten(model: NeuronModel, by: Mapping[Expr, Expr]) -> NeuronModel:
    """A model with other equations."""
    resets = FrozenMap({kind: with_equations(table, by) for kind, table in model.resets.items()})
    return replace(model, integrate=with_equations(model.integrate, by), resets=resets)


def with_equations(table: Mapping[str, Expr], by: Mapping[Expr, Expr]) -> FrozenMap[str, Expr]:
    return FrozenMap(zip(table, substitute(list(table.values()), by), strict=True))


@dataclass(frozen=True)
class Attached(Neuron):
    """A neuron whose reset flag passes gradients on, as its spikes do."""

    def equations(self) -> StepEquations:
        step, stored = super().equations(), self.model.fire
        if stored is None:
            return step
        by = {stop_gradient(heaviside(stored)): spike(stored, self.surrogate)}
        updates, outputs = (with_equations(table, by) for table in (step.updates, step.outputs))
        return replace(step, updates=updates, outputs=outputs)


def attached(neuron: Neuron) -> Neuron:
    """A reset that is not detached."""
    return Attached(**{item.name: getattr(neuron, item.name) for item in fields(neuron)})


class Endless(Neuron):
    """A neuron that does not ask whether its sample has ended."""

    def equations(self) -> StepEquations:
        found = replace(self, ends=False)
        step = Neuron(**{item.name: getattr(found, item.name) for item in fields(found)}).equations()
        return replace(step, ports=(*step.ports, *self.in_ports[len(step.ports) :]))


def endless(neuron: Neuron) -> Neuron:
    """Samples that go on behind their ends."""
    return Endless(**{item.name: getattr(neuron, item.name) for item in fields(neuron)})


class Sideways(BatchNorm1d):
    """Normalises by what all channels have in common."""


def sideways(norm: BatchNorm1d) -> BatchNorm1d:
    return Sideways(**{item.name: getattr(norm, item.name) for item in fields(norm)})


def _over_channels(here: OpContext[BatchNorm1d]) -> dict[str, Var]:
    """Mean and variance over the channels too."""
    x, zeros = here.env["x"], constant(np.zeros(here.op.features))
    found = measure([reshape(x, (-1, 1))], here.functions)
    wide = Moments(add(found.mean, zeros), add(found.variance, zeros), found.count)
    return dict(RULES[BatchNorm1d](replace(here, measured=wide)))


OWN: dict[type[Op], Any] = {
    Attached: RULES[Neuron],
    Endless: RULES[Neuron],
    Sideways: _over_channels,
}
"""How the reference runs the ops that only a wrong backend has."""


def of_all_steps(norm: BatchNorm1d) -> BatchNorm1d:
    """Statistics of all steps together where each step has its own."""
    return norm if norm.time_steps else replace(norm, stats="folded")


def measures_once(program: Program) -> Program:
    """What does not change over time is normalised once, and its statistics move once."""
    return ops(BatchNorm1d, of_all_steps)(program) if program.time.static_inputs else program


def holds_masks(dropout: Dropout) -> Dropout:
    """The same elements left out at every step."""
    return replace(dropout, mask="held")


def rewrites(name: str, change: Callable[[Expr], Expr]) -> Callable[[Program], Program]:
    """Another function in the place of one, in stateless nodes."""

    def changed(op: Pointwise) -> Pointwise:
        found = {expr: change(expr) for expr in topological(list(op.outputs.values())) if expr.op == name}
        return replace(op, outputs=with_equations(op.outputs, found))

    return ops(Pointwise, changed)


def roughly(value: Expr) -> Expr:
    """A thousandth too large."""
    return value * 1.001


def of_slope_one(value: Expr) -> Expr:
    """With another derivative."""
    return graft(value, dict.fromkeys(value.args, 1.0))


def straight_through(neuron: Neuron) -> Neuron:
    """One surrogate for all."""
    return replace(neuron, surrogate=neuron.surrogate and StraightThrough())


class Squared(FastSigmoid):
    """The same slope, divided first and squared then."""

    def derivative(self, z: Expr) -> Expr:
        inverse = 1.0 / (self.slope * abs(z) + 1.0)
        return inverse * inverse


def rounds_slopes_otherwise(neuron: Neuron) -> Neuron:
    """Right but for the last bit of a slope."""
    slope = neuron.surrogate
    return replace(neuron, surrogate=Squared(slope.slope)) if isinstance(slope, FastSigmoid) else neuron


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


def by_itself(job: Any) -> Any:
    """Whoever else trains."""
    return replace(job, ranks=None) if isinstance(job, Train) else job


def of_its_own_chance(job: Any) -> Any:
    """Random numbers of another seed."""
    return replace(job, seed=job.seed + 1)


def trained_at_its_usual_dtype(job: Any) -> Any:
    return at_its_usual_dtype(job) if isinstance(job, Train) else job


def plain_descent(job: Any) -> Any:
    """Neither momentum nor decay."""
    return replace(job, optimizer=SGD(lr=job.optimizer.lr)) if isinstance(job, Train) else job


def unweighted(job: Any) -> Any:
    """Every term of a loss counts the same."""
    if not isinstance(job, Train):
        return job
    return replace(job, loss=Loss(tuple(replace(term, weight=1.0) for term in job.loss.terms)))


def of_all_steps_given(job: Any) -> Any:
    """A loss of samples that never end."""
    return replace(job, loss=job.loss.within("")) if isinstance(job, Train) else job


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


@dataclass
class Silent(Wrong):
    """Explains nothing."""

    def explain(self, program: Program, job: Job) -> Explanation:
        return Explanation()


@dataclass
class Helpless(Wrong):
    """Is not there, and does not say why."""

    def probe(self) -> Probe:
        return Probe("missing")
