"""Smaller cases within a case: the smallest that still fails is the one to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from snnhw.conformance.case import Case, ports_of, with_samples, with_steps
from snnhw.ir import Edge, FrozenMap, Input, Output, Program
from snnhw.ir.inputs import state_shapes
from snnhw.reference.unroll import schedule

__all__ = ["TRIES", "shrunk", "upstream"]

TRIES: Final = 30
"""How many smaller cases are tried: a backend may compile each of them."""


def shrunk(case: Case, fails: Callable[[Case], bool], tries: int = TRIES, *, steps: bool = True) -> Case:
    """The smallest case found within this one for which ``fails`` still holds.

    Args:
        steps: whether it may be shorter.
    """
    while True:
        for smaller in (*_narrower(case), *(_shorter(case) if steps else ())):
            if not tries:
                return case
            tries -= 1
            if fails(smaller):
                case = smaller
                break
        else:
            return case


def _narrower(case: Case) -> Iterator[Case]:
    """Fewer nodes, the fewest first; half of the samples."""
    if case.loss is None:
        yield from _fewer_nodes(case)
    if case.turns == 1 and case.batch > 1:
        half = case.batch // 2
        yield from (with_samples(case, part) for part in (slice(half), slice(half, None)))


def _shorter(case: Case) -> Iterator[Case]:
    """Half of the steps, or all but the last."""
    for steps in dict.fromkeys((case.time_steps // 2, case.time_steps - 1)):
        if steps:
            yield with_steps(case, slice(steps))


def _fewer_nodes(case: Case) -> Iterator[Case]:
    seen = set()
    for name in schedule(case.program):
        op = case.program.nodes[name]
        if isinstance(op, (Input, Output)):
            continue
        program = upstream(case.program, f"{name}.{op.out_ports[0]}")
        if program.named(Input) and len(program.nodes) < len(case.program.nodes) and program not in seen:
            seen.add(program)
            yield _within(case, program)


def _within(case: Case, program: Program) -> Case:
    """The case on a part of its program."""
    kept = state_shapes(program, case.batch)
    return replace(
        case,
        program=program,
        params={key: x for key, x in case.params.items() if key in program.params()},
        inputs={name: x for name, x in case.inputs.items() if name in program.nodes},
        state=case.state and {key: x for key, x in case.state.items() if key in kept},
        record=ports_of(program),
    )


def upstream(program: Program, port: str) -> Program:
    """What of a program decides the value of a port, with that port as its only output ``out``."""
    wanted, found = [port.rpartition(".")[0]], set()
    while wanted:
        name = wanted.pop()
        if name not in found:
            found.add(name)
            wanted += [edge.source.node for edge in program.edges if edge.target.node == name]
    nodes = {name: op for name, op in program.nodes.items() if name in found}
    edges = [edge for edge in program.edges if edge.target.node in found]
    out = next(name for name in ("out", "out_", "out__") if name not in nodes)
    static = tuple(name for name in program.time.static_inputs if name in nodes)
    part = Program(
        FrozenMap({**nodes, out: Output()}),
        (*edges, Edge(port, f"{out}.x")),
        replace(program.time, static_inputs=static),
    )
    return replace(part, trainable=program.trainable & part.params().keys())
