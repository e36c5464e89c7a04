"""Everything that is wrong with a program, not only the first thing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from math import isfinite

import numpy as np

from snnhw.errors import ProgramError
from snnhw.ir.expr import count_nodes
from snnhw.ir.ops import Input, Neuron, Output
from snnhw.ir.params import Params
from snnhw.ir.program import MAX_NAME, NODE_NAME, Program
from snnhw.ir.shapes import infer_shapes
from snnhw.ir.text import MAX_NODES

__all__ = ["check_params", "cycles_without_delay", "require_valid", "validate"]


def validate(program: Program) -> tuple[str, ...]:
    """Every problem, each naming its node or edge; empty when the program is valid."""
    problems = [*_nodes(program), *_edges(program)]
    if problems:  # shapes and schedules of a broken graph would only repeat them
        return tuple(problems)
    problems += [*_ports(program), *_time(program), *_keys(program)]
    problems += [
        f"the cycle {' -> '.join(cycle)} has no delay; put delay=1 on one of its edges"
        for cycle in cycles_without_delay(program)
    ]
    return tuple(problems) or infer_shapes(program).problems


def require_valid(program: Program) -> None:
    """Raise `ProgramError` with every problem."""
    problems = validate(program)
    if problems:
        raise ProgramError(problems)


def _nodes(program: Program) -> Iterator[str]:
    for name, op in program.nodes.items():
        if not NODE_NAME.fullmatch(name) or len(name) > MAX_NAME:
            yield f"{name!r} cannot name a node; use dotted parts of letters, digits and underscores"
        if isinstance(op, Neuron) and count_nodes(op.step().outputs.values()) > MAX_NODES:
            yield f"{name}: its equations have more than {MAX_NODES} operations"
    if not program.named(Input):
        yield "it has no Input"
    if not program.named(Output):
        yield "it has no Output"


def _edges(program: Program) -> Iterator[str]:
    for edge in program.edges:
        for end, role in ((edge.source, "output"), (edge.target, "input")):
            op = program.nodes.get(end.node)
            if op is None:
                yield f"edge {edge.key}: there is no node '{end.node}'"
                continue
            ports = op.out_ports if role == "output" else op.in_ports
            if end.port not in ports:
                known = ", ".join(ports) or "none"
                yield f"edge {edge.key}: '{end.node}' has no {role} '{end.port}'; it has: {known}"
        if type(edge.delay) is not int or edge.delay < 0:
            yield f"edge {edge.key}: delay is a number of steps, 0 or more, not {edge.delay!r}"
        elif edge.delay == 0 and edge.init != 0.0:
            yield f"edge {edge.key}: an initial value needs a delay of at least 1"
        if isinstance(edge.init, float) and not isfinite(edge.init):
            yield f"edge {edge.key}: its initial value must be finite, not {edge.init!r}"
    delayed = Counter(edge.key for edge in program.edges if edge.delay)
    for key in sorted(key for key, count in delayed.items() if count > 1):
        yield f"edge {key}: two delayed edges between the same ports; their contents would share a name"


def _ports(program: Program) -> Iterator[str]:
    for name, op in program.nodes.items():
        for port in op.in_ports:
            count = len(program.into(name, port))
            if count == 0:
                yield f"{name}.{port}: nothing arrives here"
            elif isinstance(op, Output) and count > 1:
                yield f"{name}: an Output takes one edge, not {count}; add them in an Add first"


def _time(program: Program) -> Iterator[str]:
    if not (isinstance(program.time.dt, float) and isfinite(program.time.dt) and program.time.dt > 0):
        yield f"dt is a number of seconds greater than 0, not {program.time.dt!r}"
    inputs = set(program.named(Input))
    for name in program.time.static_inputs:
        if name not in inputs:
            yield f"static input '{name}' is no Input; inputs: {', '.join(sorted(inputs))}"


def _keys(program: Program) -> Iterator[str]:
    specs = program.params()
    for key in sorted(program.trainable):
        if key not in specs:
            yield f"'{key}' is marked trainable but is no parameter"
        elif specs[key].kind == "buffer":
            yield f"'{key}' is a buffer and cannot be trained"
    for edge in program.edges:
        if isinstance(edge.init, str) and edge.init not in specs:
            yield f"edge {edge.key}: it starts from '{edge.init}', which is no parameter"
    for name, op in program.nodes.items():
        for param, spec in op.params().items():
            key = program.param_keys(name)[param]
            if specs[key].shape != spec.shape:
                yield f"{name}.{param}: tied to '{key}' of shape {specs[key].shape}, but needs {spec.shape}"


def cycles_without_delay(program: Program) -> list[list[str]]:
    """One example of every knot of nodes that wait for each other within a step."""
    after: dict[str, list[str]] = {name: [] for name in program.nodes}
    for edge in program.edges:
        if edge.delay == 0:
            after[edge.source.node].append(edge.target.node)
    free = _peel(after)
    blocked = {name: [n for n in nexts if n not in free] for name, nexts in after.items() if name not in free}
    return [_walk(blocked)] if blocked else []


def _peel(after: Mapping[str, list[str]]) -> set[str]:
    """Nodes that an order can reach: repeatedly those that wait for nobody left."""
    waiting = dict.fromkeys(after, 0)
    for nexts in after.values():
        for name in nexts:
            waiting[name] += 1
    ready = [name for name, count in waiting.items() if count == 0]
    done: set[str] = set()
    while ready:
        name = ready.pop()
        done.add(name)
        for following in after[name]:
            waiting[following] -= 1
            if waiting[following] == 0:
                ready.append(following)
    return done


def _walk(blocked: Mapping[str, list[str]]) -> list[str]:
    """Follow arrows backwards from any blocked node until one repeats: a cycle."""
    before: dict[str, str] = {}
    for name, nexts in blocked.items():
        for following in nexts:
            before[following] = name
    path = [next(iter(blocked))]
    while path[-1] not in path[:-1]:
        path.append(before[path[-1]])
    start = path.index(path[-1])
    return path[start:][::-1]


def check_params(program: Program, params: Params, *, allow_nonfinite: bool = False) -> None:
    """Raise `ProgramError` listing every missing, superfluous, misshapen or non-finite array."""
    specs = program.params()
    problems = [f"parameter '{key}' is missing" for key in specs if key not in params]
    problems += [f"'{key}' is no parameter of this program" for key in params if key not in specs]
    for key in specs.keys() & params.keys():
        array = np.asarray(params[key])
        if not specs[key].accepts(array.shape):
            problems.append(f"parameter '{key}' has shape {array.shape}, not {specs[key].shape}")
        elif array.dtype.kind != "f":
            problems.append(f"parameter '{key}' has dtype {array.dtype}, not a floating one")
        elif not allow_nonfinite and not np.isfinite(array).all():
            problems.append(f"parameter '{key}' holds values that are not finite")
    if problems:
        raise ProgramError(sorted(problems))
