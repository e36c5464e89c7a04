"""Shapes of every port of a program, from its inputs."""

from __future__ import annotations

from typing import NamedTuple

from snnhw.errors import ProgramError
from snnhw.ir.ops import Shape
from snnhw.ir.program import Edge, Program

__all__ = ["Shapes", "infer_shapes"]


class Shapes(NamedTuple):
    """Output port -> shape of one sample at one step, and what went wrong on the way."""

    shapes: dict[str, Shape]
    problems: tuple[str, ...]


def infer_shapes(program: Program) -> Shapes:
    """Infer forward until nothing new is learnt; a cycle is entered from its fed side.

    A node is inferred as soon as each of its ports has one edge of known shape; afterwards all edges
    into a port must agree.
    """
    known: dict[str, Shape] = {}
    problems: dict[str, str] = {}
    given: dict[str, dict[str, Shape]] = {name: {} for name in program.nodes}
    leaving: dict[str, list[Edge]] = {name: [] for name in program.nodes}
    for edge in program.edges:
        if edge.source.node in leaving and edge.target.node in leaving:  # else validate says what is wrong
            leaving[edge.source.node].append(edge)
    ready = [name for name, op in program.nodes.items() if not op.in_ports]
    for name in ready:  # grows while it is walked
        try:
            found = program.nodes[name].infer(given[name])
        except ProgramError as error:
            problems[name] = f"{name}: {error.problems[0]}"
            continue
        known |= {f"{name}.{port}": shape for port, shape in found.items()}
        for edge in leaving[name]:
            node, port = edge.target
            if edge.src not in known or port not in program.nodes[node].in_ports:
                continue
            news = port not in given[node]
            given[node].setdefault(port, known[edge.src])
            if news and len(given[node]) == len(program.nodes[node].in_ports):
                ready.append(node)
    if not problems:  # otherwise whatever follows a broken node is unknown too, which is no news
        reached = set(ready)
        unknown = [name for name in program.nodes if name not in reached]
        problems = {name: f"{name}: its shape cannot be inferred from the inputs" for name in unknown}
    return Shapes(known, (*problems.values(), *_disagreements(program, known)))


def _disagreements(program: Program, known: dict[str, Shape]) -> list[str]:
    found = []
    for name, op in program.nodes.items():
        for port in op.in_ports:
            sources = [edge.src for edge in program.into(name, port) if edge.src in known]
            if len({known[src] for src in sources}) > 1:
                listed = ", ".join(f"{src} {known[src]}" for src in sources)
                found.append(f"{name}.{port}: the edges into one port must have one shape, not {listed}")
    return found
