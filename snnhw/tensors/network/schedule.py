"""What is computed once, over all steps at once, or step by step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from snnhw.ir import Neuron, Program
from snnhw.passes import components, static_ports
from snnhw.tensors.network.stateful_ops import TIMED

__all__ = ["Mode", "Schedule", "Stage", "plan"]

Mode = Literal["once", "folded", "timed", "scan", "stepped", "chained"]


@dataclass(frozen=True)
class Stage:
    """A part of the program and how it runs.

    Attributes:
        nodes: in the order in which they run.
        mode: ``once``, because nothing in it changes over time; ``folded``, all steps as one batch
            ``[T * B, ...]``; ``timed``, all steps at once, but told apart; ``scan``, one kernel over all
            steps; ``stepped``, a loop over time; ``chained``, a few nodes as one, see `chains`.
    """

    nodes: tuple[str, ...]
    mode: Mode


@dataclass(frozen=True)
class Schedule:
    """The stages of a program in order, and the ports that do not change over time."""

    stages: tuple[Stage, ...]
    static: frozenset[str]


def plan(program: Program, *, training: bool = False) -> Schedule:
    """The schedule of a valid program, in evaluation or in training."""
    static = static_ports(program, training=training)
    stages = []
    for component in components(program):
        name = component.nodes[0]
        if component.recurrent:
            mode: Mode = "stepped"
        elif isinstance(program.nodes[name], Neuron):
            mode = "scan"
        elif type(program.nodes[name]) in TIMED:
            mode = "timed"
        else:
            ports = program.nodes[name].out_ports
            mode = "once" if ports and all(f"{name}.{port}" in static for port in ports) else "folded"
        stages.append(Stage(component.nodes, mode))
    return Schedule(tuple(stages), static)
