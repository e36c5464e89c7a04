"""A layer of neurons as the ops that make it: one for most, several where neurons hear each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from snnhw.ir.frozen import FrozenMap, freeze
from snnhw.ir.ops import Input, Neuron, Op, Output, Shape
from snnhw.ir.program import Edge, Program

__all__ = ["Composite", "single", "tied"]


@dataclass(frozen=True)
class Composite:
    """Nodes and edges that a program takes up as they stand, and what of them can be seen from outside.

    Attributes:
        nodes: dotted name -> op; all names begin with the layer's own.
        inputs: port of the layer -> the ports of nodes that it feeds.
        outputs: port of the layer -> the port of a node; ``spk`` first where there are spikes.
        edges: wires between the nodes.
        states: state of the layer -> the keys in a run's state that carry it, the first for reading.
    """

    nodes: FrozenMap[str, Op]
    inputs: FrozenMap[str, tuple[str, ...]]
    outputs: FrozenMap[str, str]
    edges: tuple[Edge, ...] = ()
    states: FrozenMap[str, tuple[str, ...]] = field(default_factory=FrozenMap)

    def __post_init__(self) -> None:
        freeze(self, "nodes", "inputs", "outputs", "states")

    def program(self, shapes: Mapping[str, Shape]) -> Program:
        """The layer alone: an `Input` and an `Output` for each of its ports, under their names.

        Args:
            shapes: port -> shape of one sample at one step.
        """
        nodes: dict[str, Op] = {port: Input(shapes[port]) for port in self.inputs}
        edges = [Edge(f"{port}.y", target) for port, targets in self.inputs.items() for target in targets]
        outputs = {f"output.{port}": source for port, source in self.outputs.items()}
        edges += [*self.edges, *(Edge(source, f"{name}.x") for name, source in outputs.items())]
        return Program(FrozenMap(nodes | self.nodes | dict.fromkeys(outputs, Output())), tuple(edges))


def single(name: str, op: Neuron, *, owner: str = "") -> Composite:
    """A layer that is one op; its parameters belong to the layer ``owner``, if that is another."""
    mine = replace(op, keys=tied(owner, op)) if owner else op
    return Composite(
        nodes=FrozenMap({name: mine}),
        inputs=FrozenMap({port: (f"{name}.{port}",) for port in op.in_ports}),
        outputs=FrozenMap({port: f"{name}.{port}" for port in op.out_ports}),
        states=FrozenMap({state.name: (f"{name}.{state.name}",) for state in op.model.states}),
    )


def tied(name: str, op: Op) -> FrozenMap[str, str]:
    """``keys`` for a node whose parameters belong to the layer ``name``."""
    return FrozenMap({param: f"{name}.{param}" for param in op.params()})
