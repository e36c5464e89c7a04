"""The order in which a program can run, and what in it does not change over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from snnhw.ir import Input, Program

__all__ = ["Component", "components", "static_ports"]


class Component(NamedTuple):
    """Nodes that depend on each other through time, or one node on its own.

    Attributes:
        nodes: in the order in which they run within a step.
        recurrent: whether values flow back from one step to the next among them. A component that
            is not can be run over all steps at once.
    """

    nodes: tuple[str, ...]
    recurrent: bool


def components(program: Program) -> tuple[Component, ...]:
    """The strongly connected parts of a valid program, each after everything it reads."""
    place = {name: number for number, name in enumerate(program.nodes)}
    after: dict[str, list[str]] = {name: [] for name in program.nodes}
    at_once: dict[str, list[str]] = {name: [] for name in program.nodes}  # within the same step
    for edge in program.edges:
        source, target = edge.source.node, edge.target.node
        after[source].append(target)
        if edge.delay == 0:
            at_once[source].append(target)
    found = []
    for group in _strongly_connected(after):
        recurrent = len(group) > 1 or group[0] in after[group[0]]
        found.append(Component(_within_step(sorted(group, key=place.__getitem__), at_once), recurrent))
    return tuple(found)


def _strongly_connected(after: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Tarjan's algorithm (SIAM J. Comput. 1(2), 1972) with its own stack; sources first."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    groups: list[list[str]] = []
    for root in reversed(list(after)):  # so that independent parts come out in listed order
        work = [] if root in index else [(root, 0)]
        while work:
            node, position = work.pop()
            if position == 0:
                index[node] = low[node] = len(index)
                stack.append(node)
                on_stack.add(node)
            nexts = after[node]
            while position < len(nexts):
                following = nexts[position]
                position += 1
                if following not in index:
                    work += [(node, position), (following, 0)]
                    break
                if following in on_stack:
                    low[node] = min(low[node], index[following])
            else:
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[node])
                if low[node] == index[node]:
                    groups.append(_pop_to(node, stack))
                    on_stack.difference_update(groups[-1])
    return groups[::-1]


def _pop_to(node: str, stack: list[str]) -> list[str]:
    """Take everything off the stack down to the node, which is on it."""
    taken = [stack.pop()]
    while taken[-1] != node:
        taken.append(stack.pop())
    return taken


def _within_step(group: Sequence[str], at_once: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """A group's nodes in an order that respects its edges without delay."""
    if len(group) == 1:
        return tuple(group)
    waiting = dict.fromkeys(group, 0)
    for name in group:
        for following in at_once[name]:
            if following in waiting:
                waiting[following] += 1
    order = [name for name in group if waiting[name] == 0]
    for name in order:  # grows while it is walked
        for following in at_once[name]:
            if following in waiting:
                waiting[following] -= 1
                if waiting[following] == 0:
                    order.append(following)
    return tuple(order)


def static_ports(program: Program, *, training: bool = False) -> frozenset[str]:
    """Ports whose value is the same at every step: static inputs, through ops that do not tell steps apart.

    Args:
        training: in a step of training, where some ops do.
    """
    found: set[str] = set()
    for component in components(program):
        if component.recurrent:
            continue
        (name,) = component.nodes
        op = program.nodes[name]
        arriving = [edge for port in op.in_ports for edge in program.into(name, port)]
        constant = all(edge.delay == 0 and edge.src in found for edge in arriving)
        if isinstance(op, Input):
            constant = name in program.time.static_inputs
        if constant and not op.varies(training):
            found.update(f"{name}.{port}" for port in op.out_ports)
    return frozenset(found)
