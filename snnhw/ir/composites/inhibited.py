"""Lateral inhibition: of all neurons of a layer that fire at a step, only the most excited is heard.

The winner stands between a neuron's fire condition and what follows a spike, and it is the one thing
in a step that looks at several neurons. So the neuron is cut there, into two stateless pieces whose
states travel from the second back to the first in delayed edges:

    NAME.integrate   the stored states and the input -> the new states, z, the reset flag
    NAME.winner      z -> 1 for the neuron with the largest z, of equal ones the first; 0 for the others
    NAME             the spike where z > 0 and the neuron won, and what it does to the states

A neuron that lost is silent, but the flag of its next reset is as if it had fired: R is what the stored
states say. The factor of graded spikes counts, which snnTorch 1.0 forgets here.
"""

from __future__ import annotations

from dataclasses import replace

from snnhw.ir.composites.composite import Composite, tied
from snnhw.ir.expr import Expr, heaviside, nearest, stop_gradient, substitute, var
from snnhw.ir.frozen import FrozenMap
from snnhw.ir.models.consistency import SPK
from snnhw.ir.ops import Neuron, Pointwise, WinnerTakeAll
from snnhw.ir.ops.neuron import GRADED, LEVELS
from snnhw.ir.params import Param
from snnhw.ir.program import Edge
from snnhw.ir.surrogates import by_equations, spike

__all__ = ["inhibited"]

Z, WINNER, FLAG = "z", "winner", "reset"


def inhibited(name: str, op: Neuron) -> Composite:
    """The layer of `op` with inhibition along the first axis of a sample, which a firing model has."""
    integrate, winner = f"{name}.integrate", f"{name}.winner"
    states = [state.name for state in op.model.states]
    first, second = _integrate(op), _fire(op)
    passed = [port for port in second.ports if port != WINNER]
    edges = [
        *(Edge(f"{integrate}.{port}", f"{name}.{port}") for port in passed),
        Edge(f"{integrate}.{Z}", f"{winner}.x"),
        Edge(f"{winner}.y", f"{name}.{WINNER}"),
    ]
    lines = [
        Edge(
            f"{name}.{state.name}",
            f"{integrate}.{state.name}",
            delay=1,
            init=f"{name}.{state.init}" if isinstance(state.init, str) else state.init,
        )
        for state in op.model.states
    ]
    return Composite(
        nodes=FrozenMap(
            {
                integrate: _owned(name, first),
                winner: WinnerTakeAll(axis=0),
                name: second,
            }
        ),
        inputs=FrozenMap({port: (f"{integrate}.{port}",) for port in op.in_ports}),
        outputs=FrozenMap({port: f"{name}.{port}" for port in dict.fromkeys([SPK, *states])}),
        edges=(*edges, *lines),
        states=FrozenMap({state: (line.key,) for state, line in zip(states, lines, strict=True)}),
    )


def _integrate(op: Neuron) -> Pointwise:
    model = op.model
    assert model.fire is not None
    flag = stop_gradient(heaviside(model.fire))
    equations = model.integrate if op.timing == "immediate" else model.resets[op.reset]
    new = dict(zip(equations, substitute(list(equations.values()), {FLAG: flag}), strict=True))
    if op.quantised:
        new = {state: nearest(value, LEVELS) for state, value in new.items()}
    (z,) = substitute([model.fire], new)
    outputs = {**new, Z: z} | ({FLAG: flag} if _reads_flag(op) else {})
    return _piece(op, outputs, (*model.ports, *(state.name for state in model.states)))


def _fire(op: Neuron) -> Pointwise:
    model = op.model
    h = spike(var(Z), by_equations(op.surrogate)) * var(WINNER)
    post = model.post[op.timing][op.reset]
    after = substitute(list(post.values()), {"spike": h})
    states = {name: var(name) for name in model.integrate} | dict(zip(post, after, strict=True))
    output = h * var(GRADED.name) if op.graded else h
    ports = (*model.integrate, Z, WINNER, *([FLAG] if _reads_flag(op) else []))
    return _piece(op, {SPK: output, **states}, ports)


def _reads_flag(op: Neuron) -> bool:
    return op.timing == "retest" and op.reset != "none"


def _piece(op: Neuron, outputs: dict[str, Expr], ports: tuple[str, ...]) -> Pointwise:
    """A piece of the neuron, with those of its parameters that it reads."""
    step = Pointwise(FrozenMap(outputs), ports=ports, parameters=_all_params(op)).equations()
    read = {*step.params, *step.tables}
    params = tuple(param for param in _all_params(op) if param.name in read)
    shapes = {name: shape for name, shape in op.param_shapes.items() if name in read}
    return Pointwise(FrozenMap(outputs), ports=ports, parameters=params, param_shapes=FrozenMap(shapes))


def _all_params(op: Neuron) -> tuple[Param, ...]:
    return (*op.model.params, *([GRADED] if op.graded else []), *([Param(LEVELS)] if op.quantised else []))


def _owned(name: str, piece: Pointwise) -> Pointwise:
    """The piece with its parameters under the layer's name."""
    return replace(piece, keys=tied(name, piece))
