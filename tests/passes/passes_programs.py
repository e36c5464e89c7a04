"""Small programs for the tests of passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from snnhw.ir import MODELS, Add, Edge, FrozenMap, Input, Neuron, Op, Output, Program, TimeAxis, require_valid

LEAKY = MODELS["Leaky"]


def graph(nodes: Sequence[str], wires: Sequence[str], static: Sequence[str] = ()) -> Program:
    """A program of one-number nodes. ``"a>b"`` is a wire, ``"a>2>b"`` one with a delay of 2.

    Nodes called ``in...`` are inputs, ``out...`` outputs, ``lif...`` neurons, others sums.
    """
    ops: dict[str, Op] = {name: _op(name) for name in nodes}
    return Program(
        FrozenMap(ops), tuple(_edge(wire, ops) for wire in wires), TimeAxis(static_inputs=tuple(static))
    )


def valid(nodes: Sequence[str], wires: Sequence[str], static: Sequence[str] = ()) -> Program:
    program = graph(nodes, wires, static)
    require_valid(program)
    return program


def _op(name: str) -> Op:
    if name.startswith("in"):
        return Input((1,))
    if name.startswith("out"):
        return Output()
    return Neuron(LEAKY) if name.startswith("lif") else Add()


def _edge(wire: str, ops: Mapping[str, Op]) -> Edge:
    source, *delay, target = wire.split(">")
    return Edge(f"{source}.{ops[source].out_ports[0]}", f"{target}.x", delay=int(delay[0]) if delay else 0)
