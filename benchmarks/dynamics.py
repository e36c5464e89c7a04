"""Other libraries' dynamics in snnhw's language, so that both sides compute the same function.

snnTorch's need nothing: they are snnhw's own. SpikingJelly resets within the step in which a neuron
fires, not in the next one; keeps that reset out of the gradient (``detach_reset=True``, its faster
mode); normalises over all steps together; and its ``SoftSign`` is snnTorch's fast sigmoid, ``slope / 2``
times as steep. snnTorch's ``StateLeaky`` never resets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from snnhw.ir import (
    BatchNorm,
    Expr,
    FastSigmoid,
    FrozenMap,
    Neuron,
    NeuronModel,
    Op,
    Program,
    Surrogate,
    stop_gradient,
    var,
)
from snnhw.ir.models.family import SPIKE

__all__ = ["Dynamics", "as_in_snntorch", "as_in_spikingjelly", "without_reset"]

Dynamics = Callable[[Program], Program]


@dataclass(frozen=True)
class SoftSign(Surrogate):
    """SpikingJelly's: ``alpha / (2 (1 + alpha |z|)^2)``."""

    alpha: float = 2.0

    def derivative(self, z: Expr) -> Expr:
        width = self.alpha * abs(z) + 1.0
        return (self.alpha / 2) / (width * width)


def as_in_snntorch(program: Program) -> Program:
    """The reset shows one step after the spike."""
    return program


def as_in_spikingjelly(program: Program) -> Program:
    """The reset belongs to the step of the spike, and to no gradient; norms see all steps together."""
    nodes = {name: _changed(op) for name, op in program.nodes.items()}
    return replace(program, nodes=FrozenMap(nodes))


def without_reset(program: Program) -> Program:
    """Neurons that fire and go on."""
    nodes = {
        name: replace(op, reset="none") if isinstance(op, Neuron) else op
        for name, op in program.nodes.items()
    }
    return replace(program, nodes=FrozenMap(nodes))


def _changed(op: Op) -> Op:
    if isinstance(op, BatchNorm):
        return replace(op, stats="folded")
    if not isinstance(op, Neuron):
        return op
    surrogate = SoftSign(op.surrogate.slope) if isinstance(op.surrogate, FastSigmoid) else op.surrogate
    return replace(op, model=_detached(op.model), timing="immediate", surrogate=surrogate)


def _detached(model: NeuronModel) -> NeuronModel:
    after = {"mem": var("mem") - stop_gradient(SPIKE) * var("threshold")}
    subtract = model.post["immediate"] | {"subtract": FrozenMap(after)}
    return replace(model, post=model.post | {"immediate": FrozenMap(subtract)})
