"""Ops in other words: what a backend does not know, as the ops that it is made of."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from snnhw.errors import ProgramError
from snnhw.ir import Add, Edge, FrozenMap, Op, Program, Shape, infer_shapes
from snnhw.ir.composites.composite import Composite
from snnhw.ir.composites.parts import made_of, parts_of, shapes_within

__all__ = ["became", "expand", "lacking"]


def expand(program: Program, wanted: Collection[type[Op]]) -> Program:
    """The same program, where ops of other kinds than ``wanted`` are replaced by what they are made of, as
    long as that comes to ops that are wanted; others stay as they are.

    Ports, states and parameters keep their names: a node's last part stands in its place, and an edge with a
    delay that now leads to an inner part keeps its key in a run's state. Ports ``NODE.PART.y`` are new.
    Without anything to replace it is the program itself. It is for a backend: files hold what was before.

    Raises:
        ProgramError: what an op says of its parts makes no sense.
    """
    if all(type(op) in wanted for op in program.nodes.values()):
        return program
    known = infer_shapes(program).shapes
    found: dict[str, Composite] = {}
    for name, op in program.nodes.items():
        shapes = _arriving(program, known, name, op)
        if type(op) not in wanted and shapes is not None and not _lacking(name, op, shapes, wanted):
            layer = made_of(name, op, shapes, free=lambda other: other not in program.nodes)
            found |= {name: layer} if layer else {}
    return expand(_inlined(program, found), wanted) if found else program


def became(program: Program, expanded: Program) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each node that is now several or another one, and the kinds of op that it runs as, in order."""
    made: dict[str, list[str]] = {name: [] for name in program.nodes}
    for node, op in expanded.nodes.items():
        whole = node
        while whole not in program.nodes:
            whole = whole.rpartition(".")[0]
        made[whole].append(type(op).__name__)
    yield from ((name, tuple(made[name])) for name, op in program.nodes.items() if expanded.nodes[name] != op)


def lacking(program: Program, name: str, wanted: Collection[type[Op]]) -> tuple[type[Op], ...]:
    """The kinds that are not wanted and made of no others, among those that a node comes to; the node's own,
    where it is of a wanted kind or a core op, or nothing is known of what arrives."""
    op = program.nodes[name]
    shapes = _arriving(program, infer_shapes(program).shapes, name, op)
    found = {type(op): None} if shapes is None else _lacking(name, op, shapes, wanted)
    return tuple(found)


def _arriving(program: Program, known: Mapping[str, Shape], name: str, op: Op) -> dict[str, Shape] | None:
    """Input port -> shape of one sample; None where one of them is not known, or does not fit the op."""
    edges = {port: program.into(name, port) for port in op.in_ports}
    if not all(found and found[0].src in known for found in edges.values()):
        return None
    if not all(f"{name}.{port}" in known for port in op.out_ports):
        return None
    return {port: known[found[0].src] for port, found in edges.items()}


def _lacking(
    name: str, op: Op, shapes: Mapping[str, Shape], wanted: Collection[type[Op]]
) -> dict[type[Op], None]:
    try:
        return _without(op, shapes, wanted, ())
    except ProgramError as error:
        raise ProgramError([f"{name}: {problem}" for problem in error.problems]) from error


def _without(
    op: Op, shapes: Mapping[str, Shape], wanted: Collection[type[Op]], above: tuple[type[Op], ...]
) -> dict[type[Op], None]:
    kind = type(op)
    if kind in wanted:
        return {}
    parts = {} if kind in above else parts_of(op, shapes)
    if not parts:
        return {kind: None}
    within = shapes_within(parts, shapes)
    found: dict[type[Op], None] = {}
    for part in parts.values():
        given = {port: within[source] for port, source in part.reads.items()}
        found |= _without(part.op, given, wanted, (*above, kind))
    return found


@dataclass(frozen=True)
class _Rerouted(Edge):
    """A delayed edge to a part of the node that it led to before; what it holds is known by its old name."""

    before: str = ""

    @property
    def key(self) -> str:
        return self.before


def _inlined(program: Program, found: Mapping[str, Composite]) -> Program:
    nodes: dict[str, Op] = {}
    for name, op in program.nodes.items():
        nodes |= found[name].nodes if name in found else {name: op}
    targets = {f"{node}.{port}": to for node, layer in found.items() for port, to in layer.inputs.items()}
    edges = [edge for layer in found.values() for edge in layer.edges]
    for port in [port for port, to in targets.items() if len(to) > 1 and _waits(program, port)]:
        sums = port  # what is under way arrives once, whoever reads it
        while sums in nodes:
            sums += "_"
        nodes[sums] = Add()
        edges += [Edge(f"{sums}.y", target) for target in targets[port]]
        targets[port] = (f"{sums}.x",)
    outer = [_led(edge, target) for edge in program.edges for target in targets.get(edge.dst, (edge.dst,))]
    return replace(program, nodes=FrozenMap(nodes), edges=(*outer, *edges))


def _waits(program: Program, port: str) -> bool:
    """Whether anything arrives late at a port."""
    return any(edge.delay for edge in program.edges if edge.dst == port)


def _led(edge: Edge, target: str) -> Edge:
    """The edge to another port."""
    if not edge.delay or target == edge.dst or isinstance(edge, _Rerouted):
        return replace(edge, dst=target)
    return _Rerouted(edge.src, target, edge.delay, edge.init, before=edge.key)
