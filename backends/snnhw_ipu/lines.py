"""What is carried from step to step: states of neurons, and edges with a delay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from snnhw.ir import Neuron, Program

__all__ = ["Line", "lines"]


@dataclass(frozen=True)
class Line:
    """A neuron's state, or a delayed edge.

    Attributes:
        key: of the run's state; source: the port that feeds it.
        slots: registers, oldest first; edge: whether it is an edge, whose state has an axis for its length.
    """

    key: str
    source: str
    init: float | str
    slots: tuple[str, ...]
    edge: bool


def lines(program: Program) -> Iterator[Line]:
    """All of them, neurons' first."""
    for name, op in program.nodes.items():
        keys = program.param_keys(name)
        for state in op.model.states if isinstance(op, Neuron) else ():
            key = f"{name}.{state.name}"
            init = keys[state.init] if isinstance(state.init, str) else state.init
            yield Line(key, key, init, (f"now {key}",), edge=False)
    for edge in program.edges:
        if edge.delay:
            slots = tuple(f"now {edge.key} {number}" for number in range(edge.delay))
            yield Line(edge.key, edge.src, edge.init, slots, edge=True)
