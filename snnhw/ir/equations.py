"""The equations of a program's nodes, and of a model, in lines that people can read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from snnhw.ir.expr import Expr, make, topological, var
from snnhw.ir.frozen import FrozenMap
from snnhw.ir.ops import Neuron, Op, Pointwise
from snnhw.ir.program import Program
from snnhw.ir.text import infix

__all__ = ["Line", "NodeEquations", "equations", "shown", "step_lines"]

Line = tuple[str, str]
"""A name, and what it is."""


@dataclass(frozen=True)
class NodeEquations:
    """What one or more nodes compute at every step.

    Attributes:
        nodes: their names.
        title: what they are, in a few words.
        lines: in the order in which they are computed; a prime marks a state after the step.
    """

    nodes: tuple[str, ...]
    title: str
    lines: tuple[Line, ...]


def equations(program: Program) -> list[NodeEquations]:
    """A group for each different kind of node that has equations, in the order of the nodes."""
    found: dict[Op, NodeEquations] = {}
    for name, op in program.nodes.items():
        kind = replace(op, keys=FrozenMap())  # where its parameters lie changes no equation
        if kind in found:
            found[kind] = replace(found[kind], nodes=(*found[kind].nodes, name))
        elif isinstance(op, Neuron):
            found[kind] = NodeEquations((name,), op.summary(), tuple(step_lines(op)))
        elif isinstance(op, Pointwise):
            lines = tuple((port, _text(value)) for port, value in op.outputs.items())
            found[kind] = NodeEquations((name,), op.summary(), lines)
    return list(found.values())


def shown(line: Line) -> str:
    """A line as text."""
    name, text = line
    return f"{name:7} = {text}"


def step_lines(op: Neuron) -> Iterator[Line]:
    """One step as the model's author wrote it, where `Neuron.equations` would give one long expression."""
    model, resets = op.model, op.timing != "immediate"
    before = model.resets[op.reset] if resets else model.integrate
    if model.fire is not None and any("reset" in _names(value) for value in before.values()):
        yield "reset", f"1 where {_text(model.fire)} > 0, else 0"
    for state, value in before.items():
        text = _text(value)
        yield f"{state}'", f"the nearest of levels to {text}" if op.quantised else text
    if model.fire is None:
        return
    states = [state.name for state in model.states]
    yield "z", _text(model.fire, states)
    yield "spike", "1 where z > 0, else 0"
    for state, value in model.post[op.timing][op.reset].items():
        yield f"{state}'", _text(value, states)
    yield "spk", "spike * graded_spikes_factor" if op.graded else "spike"
    yield from ((f"{state}'", "spk") for state in states if state not in before)
    if op.surrogate is not None:
        yield "slope", f"{_text(op.surrogate.derivative(var('z')))}, in place of the spike's derivative"


def _names(root: Expr) -> set[object]:
    return {node.data for node in topological([root]) if node.op == "var"}


def _text(root: Expr, after: list[str] | tuple[()] = ()) -> str:
    """An expression's value in infix; states named in ``after`` are those after the step."""
    text = infix(_value(root))
    return re.sub(rf"\b({'|'.join(after)})\b", r"\1'", text) if after else text


def _value(root: Expr) -> Expr:
    """Without the derivatives that are grafted on: they do not change what is computed."""
    done: dict[Expr, Expr] = {}
    for node in topological([root]):
        args = [done[arg] for arg in node.args]
        if node.op == "graft":
            done[node] = args[0]
        else:
            done[node] = make(node.op, *args, data=node.data) if args else node
    return done[root]
