"""Nodes that feed each other through time: a loop, step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from snnhw.ir import Edge, Neuron, Pointwise
from snnhw.tensors.network.loops.steps import Steps
from snnhw.tensors.network.loops.sweep import sweep
from snnhw.tensors.network.stateful_ops import TIMED
from snnhw.tensors.network.tape import Untaped
from snnhw.tensors.network.walk import Tensors, Walk
from snnhw.tensors.watched import tracing, watched

__all__ = ["run_loop"]

Wire = Callable[[int, Tensors], Tensor]
"""What an edge brings: from the number of the step and the ports computed in it so far."""


def run_loop(walk: Walk, nodes: tuple[str, ...]) -> None:
    """All steps of a recurrent part, whose nodes stand in the order in which they run within one."""
    if walk.steps > 1:  # all of them have the same parameters
        walk = replace(walk, memo=replace(walk.memo, lasting=True))
    program = walk.network.program
    outside = {edge.src for edge in program.edges if edge.target.node not in nodes}
    ports = [port for port in _ports(walk, nodes) if port in outside | walk.wanted]
    if _derived(walk, nodes):
        found, after = sweep(walk, Steps(walk, nodes, ports))
        walk.ports |= found
        walk.after |= after
    elif walk.tape:
        raise Untaped(f"the steps of {', '.join(nodes)}, which feed each other through time, are recorded")
    else:
        _recorded(walk, nodes, ports)


def _derived(walk: Walk, nodes: tuple[str, ...]) -> bool:
    """Whether the way back can be derived, and is worth it."""
    if not walk.network.sizes.derived or watched([walk.like]):
        return False
    ops = [walk.network.program.nodes[name] for name in nodes]
    cells = [op.equations() for op in ops if isinstance(op, (Neuron, Pointwise))]
    opaque = any(step.opaque is not None for step in cells)
    return walk.steps > 1 and not (tracing() or opaque or any(type(op) in TIMED for op in ops))


def _recorded(walk: Walk, nodes: tuple[str, ...], ports: list[str]) -> None:
    """The same in autograd's own graph."""
    program = walk.network.program
    edges = {
        name: {port: program.into(name, port) for port in program.nodes[name].in_ports} for name in nodes
    }
    inner = [edge for ports in edges.values() for into in ports.values() for edge in into if edge.delay]
    lines = {edge.key: [*walk.under_way(edge)] for edge in inner if edge.source.node in edges}
    wires = {
        name: {port: [_wire(walk, edge, nodes, lines) for edge in into] for port, into in ports.items()}
        for name, ports in edges.items()
    }
    states = {name: walk.states_of(name) for name in nodes}
    history: dict[str, list[Tensor]] = {port: [] for port in ports}
    for step in range(walk.steps):
        now: dict[str, Tensor] = {}
        for name in nodes:
            now |= _step(walk, name, _sums(wires[name], step, now), states, step)
        for edge in inner:
            if edge.key in lines:
                lines[edge.key].append(now[edge.src])
        for port, kept in history.items():
            kept.append(now[port])
    walk.ports |= {port: torch.stack(values) for port, values in history.items()}
    wide = walk.like.dtype
    walk.after |= {key: torch.stack(line[walk.steps :]).to(wide) for key, line in lines.items()}
    walk.after |= {f"{name}.{state}": x for name in nodes for state, x in states[name].items()}


def _ports(walk: Walk, nodes: tuple[str, ...]) -> list[str]:
    """All output ports of some nodes."""
    program = walk.network.program
    return [f"{name}.{port}" for name in nodes for port in program.nodes[name].out_ports]


def _wire(walk: Walk, edge: Edge, nodes: tuple[str, ...], lines: Mapping[str, list[Tensor]]) -> Wire:
    if edge.source.node not in nodes:
        x, fixed = walk.signal(edge)
        steps = (x,) * walk.steps if fixed else x.unbind()  # one node of autograd's graph for all steps
        return lambda step, now: steps[step]
    if edge.delay:
        line = lines[edge.key]
        return lambda step, now: line[step]
    return lambda step, now: now[edge.src]


def _sums(wires: Mapping[str, list[Wire]], step: int, now: Tensors) -> dict[str, Tensor]:
    """What arrives at each port: its edges, left to right."""
    found = {}
    for port, (first, *others) in wires.items():
        total = first(step, now)
        for wire in others:
            total = total + wire(step, now)
        found[port] = total
    return found


def _step(
    walk: Walk, name: str, xs: Tensors, states: dict[str, dict[str, Tensor]], step: int
) -> dict[str, Tensor]:
    """One node at one step: its ports by their full names. A neuron leaves its states in ``states``."""
    op = walk.network.program.nodes[name]
    if isinstance(op, Neuron):
        found, states[name] = walk.neuron_step(name, xs, states[name], step)
    elif type(op) in TIMED:
        found = {"y": walk.timed(name, xs["x"].unsqueeze(0), walk.clock.later(step), 1)[0]}
    else:
        tensors = [*(xs[port] for port in op.in_ports), *walk.params_of(name).values()]
        found = dict(zip(op.out_ports, walk.stateless(name)(*tensors), strict=True))
    return {f"{name}.{port}": y for port, y in found.items()}
