"""What a program carries from step to step: states of neurons, and edges with a delay."""

from __future__ import annotations

from dataclasses import dataclass

from snnhw.ir.ops import Neuron
from snnhw.ir.program import Program

__all__ = ["DelayLine", "delay_lines"]


@dataclass(frozen=True)
class DelayLine:
    """A delayed edge, or a neuron's state, which is a line of length 1.

    Attributes:
        key: its name in a run's state. What it holds there is ``[length, B, ...]``, oldest first; a neuron's
            state ``[B, ...]``.
        source: the port whose value enters it at the end of a step.
        length: steps from one end to the other.
        init: what it holds before the first step: a number, or a parameter's key.
        edge: whether it is an edge.
    """

    key: str
    source: str
    length: int
    init: float | str
    edge: bool


def delay_lines(program: Program) -> tuple[DelayLine, ...]:
    """All of them: neurons' in the order of the nodes, then edges in theirs."""
    found = []
    for name, op in program.nodes.items():
        keys = program.param_keys(name) if isinstance(op, Neuron) else {}
        for state in op.model.states if isinstance(op, Neuron) else ():
            init = keys[state.init] if isinstance(state.init, str) else state.init
            found.append(DelayLine(f"{name}.{state.name}", f"{name}.{state.name}", 1, init, edge=False))
    edges = (edge for edge in program.edges if edge.delay)
    return (*found, *(DelayLine(edge.key, edge.src, edge.delay, edge.init, edge=True) for edge in edges))
