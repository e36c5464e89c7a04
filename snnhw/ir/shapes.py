"""Shapes of every port of a program, from its inputs."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from snnhw.errors import ProgramError
from snnhw.ir.ops import Shape
from snnhw.ir.program import Edge, Program
from snnhw.words import listing

__all__ = ["Shapes", "infer_shapes"]

Known = dict[str, Shape]


class Shapes(NamedTuple):
    """Output port -> shape of one sample at one step, and what went wrong on the way."""

    shapes: dict[str, Shape]
    problems: tuple[str, ...]


def infer_shapes(program: Program) -> Shapes:
    """Infer forward until nothing new is learnt; a cycle is entered from its fed side.

    A node is inferred as soon as each of its ports has one edge of known shape. Where nothing is left
    but loops, a node whose other ports wait for delayed edges alone is inferred from the ports that are
    known, if they tell its outputs; what arrives late is held to that. Afterwards all edges into a port
    must agree.
    """
    search = _Search(program)
    problems = search.problems
    while name := search.next():
        try:
            found = program.nodes[name].infer(search.given[name])
        except ProgramError as error:
            problems[name] = f"{name}: {error.problems[0]}"
            continue
        search.learn(name, {f"{name}.{port}": shape for port, shape in found.items()})
    if not problems:  # otherwise whatever follows a broken node is unknown too, which is no news
        unknown = [name for name in program.nodes if name not in search.reached]
        problems |= {name: f"{name}: its shape cannot be inferred from the inputs" for name in unknown}
    problems |= {name: problem for name in search.early if (problem := search.contradiction(name))}
    return Shapes(search.known, (*problems.values(), *_disagreements(program, search.known)))


class _Search:
    """What is known so far, and which node comes next.

    Attributes:
        known: output port -> shape.
        given: node -> its input ports whose shape is known.
        reached: nodes that were inferred, or tried; early: those of them that did not wait for all ports.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.known: Known = {}
        self.problems: dict[str, str] = {}
        self.given: dict[str, Known] = {name: {} for name in program.nodes}
        self.reached: dict[str, None] = {}
        self.early: list[str] = []
        self._leaving: dict[str, list[Edge]] = {name: [] for name in program.nodes}
        self._awaited = {name: set(op.in_ports) for name, op in program.nodes.items()}
        self._now: dict[str, set[str]] = {name: set() for name in program.nodes}
        for edge in program.edges:
            if edge.source.node in self._leaving and edge.target.node in self._leaving:
                self._leaving[edge.source.node].append(edge)  # else validate says what is wrong
                if edge.delay == 0:
                    self._now[edge.target.node].add(edge.target.port)
        self._ready = deque(name for name, ports in self._awaited.items() if not ports)
        self._partial: deque[str] = deque()

    def next(self) -> str | None:
        """The next node to infer; None when none is left."""
        while self._ready or self._partial:
            early = not self._ready
            name = self._partial.popleft() if early else self._ready.popleft()
            if name not in self.reached:
                self.reached[name] = None
                self.early += [name] if early else []
                return name
        return None

    def learn(self, name: str, found: Known) -> None:
        """Pass the shapes of a node's outputs on to those that read them."""
        self.known |= found
        for edge in self._leaving[name]:
            node, port = edge.target
            if edge.src in self.known and port in self._awaited[node]:
                self._awaited[node].remove(port)
                self._now[node].discard(port)
                self.given[node][port] = self.known[edge.src]
                self._enqueue(node)

    def _enqueue(self, node: str) -> None:
        if not self._awaited[node]:
            self._ready.append(node)
        elif not self._now[node] and self.program.nodes[node].any_port_tells:
            self._partial.append(node)

    def contradiction(self, name: str) -> str:
        """What is wrong with a node that was inferred early, now that all its ports are known."""
        op, given = self.program.nodes[name], self.given[name]
        if self._awaited[name]:
            return ""  # then so is what should feed it, and that is said already
        try:
            found = {f"{name}.{port}": shape for port, shape in op.infer(given).items()}
        except ProgramError as error:
            return f"{name}: {error.problems[0]}"
        changed = [port for port, shape in found.items() if self.known.get(port, shape) != shape]
        if not changed:
            return ""
        late = ", ".join(f"{port} {shape}" for port, shape in given.items())
        return (
            f"{name}: without what arrives late, {listing(changed)} would be {self.known[changed[0]]}, but "
            f"with it {found[changed[0]]}; its inputs: {late}"
        )


def _disagreements(program: Program, known: dict[str, Shape]) -> list[str]:
    found = []
    for name, op in program.nodes.items():
        for port in op.in_ports:
            sources = [edge.src for edge in program.into(name, port) if edge.src in known]
            if len({known[src] for src in sources}) > 1:
                listed = ", ".join(f"{src} {known[src]}" for src in sources)
                found.append(f"{name}.{port}: the edges into one port must have one shape, not {listed}")
    return found
