"""What a graph means as a program, once its convention is known."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from snnhw.errors import LoadError, ProgramError
from snnhw.ir import (
    Add,
    Edge,
    FrozenMap,
    Input,
    Neuron,
    Op,
    Output,
    Params,
    Program,
    Scale,
    TimeAxis,
    infer_shapes,
    require_valid,
    trainable,
)
from snnhw_nir.convention import Convention
from snnhw_nir.cycles import delayed_edges
from snnhw_nir.graph import Graph, Node
from snnhw_nir.reading.making import Made, made_of
from snnhw_nir.wires import inlined, unused

__all__ = ["named_program_of", "program_of"]

LONGEST = 200
"""Most characters of a name; a program takes a few more, for what may have to be added."""


def program_of(graph: Graph, convention: Convention) -> tuple[Program, Params]:
    """The program that a graph is under a convention, and its parameters; see `named_program_of`."""
    program, params, _ = named_program_of(graph, convention)
    return program, params


def named_program_of(graph: Graph, convention: Convention) -> tuple[Program, Params, Mapping[str, str]]:
    """The program that a graph is under a convention, its parameters, and which node of the graph, under its
    dotted name, gives each output port.

    Neurons are those of `snnhw.ir.models.textbook`, in seconds; a parameter with one value for all of
    them is a scalar. Every weight is trainable.

    Raises:
        LoadError: naming the node, for what has no counterpart or does not fit together.
    """
    flat = inlined(graph)
    names = _identifiers(flat.nodes)
    made: dict[str, Made] = {}
    for name, node in flat.nodes.items():
        assert isinstance(node, Node)
        made[names[name]] = made_of(name, node, convention)
    edges = [(names[source], names[target]) for source, target in flat.edges]
    made, edges = _tapped(made, edges)
    params = {f"{name}.{key}": array for name, each in made.items() for key, array in each.params.items()}
    nodes = FrozenMap({name: each.op for name, each in made.items()})
    program = Program(nodes, tuple(_edges(made, edges, convention)), TimeAxis(convention.dt))
    program = trainable(_with_sums(program))
    fixed = {f"{name}.{key}" for name, each in made.items() if each.fixed for key in each.params}
    program = replace(program, trainable=program.trainable - fixed)
    try:
        require_valid(program)
    except ProgramError as error:
        raise LoadError(f"its graph makes no program: {error}") from error
    _check_shapes(program, made)
    ports = {f"{new}.{port}": old for old, new in names.items() for port in made[new].op.out_ports}
    return program, params, ports


def _tapped(
    made: Mapping[str, Made], edges: list[tuple[str, str]]
) -> tuple[dict[str, Made], list[tuple[str, str]]]:
    """Delays of their own for each value: for every delay a node that lets those values through that have
    it, times 1, and the others times 0; what arrives at the node itself is the sum of these."""
    nodes, taps = dict(made), {}
    for name, each in made.items():
        taps[name] = [unused(f"{name}.late{steps}", nodes) for steps in each.taps]
        for tap, (steps, mask) in zip(taps[name], each.taps.items(), strict=True):
            nodes[tap] = Made(Scale(mask.shape), {"weight": mask}, mask.shape, steps, fixed=True)
    found = [(source, tap) for source, target in edges for tap in taps[target] or (target,)]
    found += [(tap, name) for name, those in taps.items() for tap in those]
    return nodes, found


def _edges(made: Mapping[str, Made], edges: list[tuple[str, str]], convention: Convention) -> Iterable[Edge]:
    apart = {place for place, (a, b) in enumerate(edges) if made[b].delay or made[a].after}
    stateful = {name: isinstance(each.op, Neuron) for name, each in made.items()}
    roots = [name for name, each in made.items() if isinstance(each.op, Input)]
    late = delayed_edges(stateful, edges, roots, convention.recurrence, apart)
    for place, (source, target) in enumerate(edges):
        leaves, arrives = _gives(made[source].op), made[target].op.in_ports
        if not leaves or not arrives:
            raise LoadError(
                f"edge '{source}' -> '{target}': an Output gives nothing, and an Input takes nothing"
            )
        delay = made[source].after + made[target].delay + (place in late)
        yield Edge(f"{source}.{leaves}", f"{target}.{arrives[0]}", delay)


def _gives(op: Op) -> str:
    """The port that edges leave by: of a neuron its spikes, or the membrane of one that never fires."""
    if isinstance(op, Neuron) and op.model.fire is None:
        return op.model.states[-1].name
    return op.out_ports[0] if op.out_ports else ""


def _with_sums(program: Program) -> Program:
    """An Output takes one edge, without delay: what meets there is added up before."""
    nodes, sums = dict(program.nodes), {}
    for name in program.named(Output):
        arriving = program.into(name, "x")
        if len(arriving) == 1 and not arriving[0].delay:
            continue
        sums[f"{name}.x"] = total = unused(f"{name}_sum", nodes)
        nodes[total] = Add()
    if not sums:
        return program
    edges = [replace(edge, dst=f"{sums[edge.dst]}.x") if edge.dst in sums else edge for edge in program.edges]
    edges += [Edge(f"{total}.y", target) for target, total in sums.items()]
    return replace(program, nodes=FrozenMap(nodes), edges=tuple(edges))


def _check_shapes(program: Program, made: Mapping[str, Made]) -> None:
    shapes, returned = infer_shapes(program).shapes, program.outputs()
    for name, each in made.items():
        port = returned[name] if isinstance(each.op, Output) else f"{name}.{_gives(each.op)}"
        if each.shape is not None and shapes[port] != each.shape:
            raise LoadError(
                f"node '{name}': its fields say shape {each.shape}, but what arrives gives {shapes[port]}"
            )


def _identifiers(names: Iterable[str]) -> dict[str, str]:
    """Name in the file -> name in a program: letters, digits, underscores, in dotted parts."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    numbers: Counter[str] = Counter()
    for name in names:
        parts = [re.sub(r"\W", "_", part, flags=re.ASCII) or "_" for part in name.split(".")]
        plain = first = ".".join(parts)[:LONGEST]
        while plain in taken:
            numbers[first] += 1  # counted on, since a file may hold any number of names that come out alike
            plain = f"{first}_{numbers[first]}"
        found[name] = plain
        taken.add(plain)
    return found
