"""Everything that is wrong with a program, not only the first thing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from snnhw.errors import ExpressionError, InputError, ProgramError
from snnhw.ir.checks import is_number
from snnhw.ir.expr import count_nodes
from snnhw.ir.fixed import Fixed
from snnhw.ir.ops import Input, Neuron, Op, Output, Pointwise, Shape
from snnhw.ir.params import Params, ParamSpec, key_of
from snnhw.ir.program import MAX_NAME, NODE_NAME, PARAM_KEY, Program, endpoint
from snnhw.ir.shapes import infer_shapes
from snnhw.ir.text import MAX_NODES
from snnhw.ir.whole import format_problems
from snnhw.words import brief, listing

__all__ = ["check_params", "cycles_without_delay", "require_valid", "validate"]

DTYPES: Final = ("float16", "float32", "float64")


def validate(program: Program) -> tuple[str, ...]:
    """Every problem, each naming its node or edge; empty when the program is valid."""
    problems = [*_nodes(program), *_edges(program)]
    if problems:  # shapes and schedules of a broken graph would only repeat them
        return tuple(problems)
    problems += [*_ports(program), *_time(program), *_keys(program), *_statistics(program)]
    problems += [
        f"the cycle {_drawn(cycle)} has no delay; put delay=1 on one of its edges"
        for cycle in cycles_without_delay(program)
    ]
    if problems:
        return tuple(problems)
    shapes, problems_of_shapes = infer_shapes(program)
    return problems_of_shapes or (*_starts(program, shapes), *format_problems(program))


def require_valid(program: Program) -> None:
    """Raise `ProgramError` with every problem."""
    problems = validate(program)
    if problems:
        raise ProgramError(problems)


def _nodes(program: Program) -> Iterator[str]:
    for name in program.nodes:
        if not NODE_NAME.fullmatch(name) or len(name) > MAX_NAME:
            yield (
                f"{brief(name)} cannot name a node; use dotted parts of letters, digits and underscores, "
                f"at most {MAX_NAME} characters"
            )
    yield from _equations(program)
    if not program.named(Input):
        yield "it has no Input"
    if not program.named(Output):
        yield "it has no Output"


def _equations(program: Program) -> Iterator[str]:
    sound: set[Neuron | Pointwise] = set()  # equal nodes are many in large programs
    for name, op in program.nodes.items():
        if not isinstance(op, (Neuron, Pointwise)) or op in sound:
            continue
        try:
            size = count_nodes(op.equations().outputs.values())
        except ExpressionError as error:
            yield f"{name}: its equations do not compose: {error}"
            continue
        if size > MAX_NODES:
            yield f"{name}: its equations have {size} operations; at most {MAX_NODES} are accepted"
        else:
            sound.add(op)


def _edges(program: Program) -> Iterator[str]:
    for edge in program.edges:
        if len(edge.key) > 3 * MAX_NAME:
            yield f"edge {brief(edge.key)}: there are no nodes with names of that length"
            continue
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
        if not isinstance(edge.init, str) and not is_number(edge.init):
            yield f"edge {edge.key}: it starts from a finite number or a parameter, not {edge.init!r}"
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
            elif isinstance(op, Output) and program.into(name, port)[0].delay:
                yield f"{name}: the edge into an Output has no delay; delay it on the way to an Add before"


def _starts(program: Program, shapes: Mapping[str, Shape]) -> Iterator[str]:
    """Parameters that edges start from: scalar, or of the rank of what the edge carries."""
    specs = program.params()
    for edge in program.edges:
        if isinstance(edge.init, str) and not _stretches(specs[edge.init].shape, shapes[edge.src]):
            given, wanted = specs[edge.init].shape, shapes[edge.src]
            yield (
                f"edge {edge.key}: it starts from '{edge.init}' of shape {given}, which does not fit values "
                f"of shape {wanted}; give a scalar, or a shape of that rank with 1 where it is shared"
            )


def _stretches(given: Shape, wanted: Shape) -> bool:
    same_rank = len(given) == len(wanted)
    return not given or (same_rank and all(g in (1, w) for g, w in zip(given, wanted, strict=True)))


def _time(program: Program) -> Iterator[str]:
    if not is_number(program.time.dt) or program.time.dt <= 0:
        yield f"dt is a number of seconds greater than 0, not {program.time.dt!r}"
    inputs = set(program.named(Input))
    for name in program.time.static_inputs:
        if name not in inputs:
            yield f"static input {brief(name)} is no Input; inputs: {listing(sorted(inputs))}"


def _keys(program: Program) -> Iterator[str]:
    specs = program.params()
    for name, op in program.nodes.items():
        yield from _ties(name, op, specs)
    for key in sorted(program.trainable):
        if key not in specs:
            yield f"{brief(key)} is marked trainable but is no parameter"
        elif specs[key].kind != "weight":
            yield f"'{key}' is a {specs[key].kind} and cannot be trained"
    for edge in program.edges:
        if isinstance(edge.init, str) and edge.init not in specs:
            yield f"edge {edge.key}: it starts from {brief(edge.init)}, which is no parameter"


def _ties(name: str, op: Op, specs: Mapping[str, ParamSpec]) -> Iterator[str]:
    own = op.params()
    for param in op.keys:
        if param not in own:
            yield f"{name}: it ties {brief(param)}, but its parameters are: {listing(list(own))}"
    for param, spec in own.items():
        key = key_of(name, param, op.keys)
        if not PARAM_KEY.fullmatch(key) or len(key) > 2 * MAX_NAME:
            yield f"{name}.{param}: tied to {brief(key)}, which is no key such as 'fc.weight'"
        elif specs[key].shape != spec.shape:
            yield f"{name}.{param}: tied to '{key}' of shape {specs[key].shape}, but needs {spec.shape}"


def _statistics(program: Program) -> Iterator[str]:
    """What training measures is measured at one place, and before it is used."""
    users: dict[str, list[str]] = {}
    for name in program.nodes:
        for param, key in program.param_keys(name).items():
            users.setdefault(key, []).append(f"{name}.{param}")
    for key, names in users.items():
        kinds = {program.nodes[(at := endpoint(place)).node].params()[at.port].kind for place in names}
        if "statistic" in kinds and names != [key]:
            yield f"'{key}' is measured in training, so it cannot be tied: {listing(names)} share it"
    for name, op in program.nodes.items():
        if getattr(op, "stats", "") == "folded" and name in _following(program, name):
            yield (
                f"{name}: stats='folded' needs all steps of its input at once, but its input depends on its "
                "own output; use stats='per_step' in a recurrent part"
            )


def _following(program: Program, name: str) -> set[str]:
    """Every node that a node feeds, however late."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        at = waiting.pop()
        nexts = {edge.target.node for edge in program.edges if edge.source.node == at} - found
        found |= nexts
        waiting += nexts
    return found


def cycles_without_delay(program: Program) -> list[list[str]]:
    """A cycle of nodes that wait for each other within a step, its first node repeated at its end;
    empty when there is none."""
    after: dict[str, list[str]] = {name: [] for name in program.nodes}
    for edge in program.edges:
        if edge.delay == 0:
            after[edge.source.node].append(edge.target.node)
    free = _peel(after)
    blocked = {name: nexts for name, nexts in after.items() if name not in free}
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
    before = {following: name for name, nexts in blocked.items() for following in nexts}
    path: dict[str, None] = {}  # in order, and quick to search
    name = next(iter(blocked))
    while name not in path:
        path[name] = None
        name = before[name]
    cycle = list(path)[list(path).index(name) :]
    return [name, *cycle[:0:-1], name]


def _drawn(cycle: list[str]) -> str:
    """A cycle in a line; of a long one both ends."""
    shown = cycle if len(cycle) <= 12 else [*cycle[:6], "...", *cycle[-5:]]
    return " -> ".join(shown)


def check_params(program: Program, params: Params, *, allow_nonfinite: bool = False) -> None:
    """Raise `ProgramError` listing every missing, superfluous, misshapen or non-finite array."""
    specs = program.params()
    problems = [f"parameter '{key}' is missing" for key in specs if key not in params]
    problems += [f"{brief(key)} is no parameter of this program" for key in params if key not in specs]
    for key, spec in specs.items():
        if key in params:
            problems += _misfits(key, spec, params[key], allow_nonfinite, program.formats.get(key))
    if problems:
        raise ProgramError(problems)


def _misfits(
    key: str, spec: ParamSpec, given: Any, allow_nonfinite: bool, form: Fixed | None
) -> Iterator[str]:
    try:
        array = np.asarray(given)
    except (RuntimeError, TypeError, ValueError) as error:  # a tensor that is sparse, say, or a ragged list
        kind = type(given).__name__
        yield f"parameter '{key}' is a {kind} that NumPy cannot read ({error}); give a NumPy array"
        return
    if np.ma.is_masked(given):
        yield f"parameter '{key}' is a masked array; say what stands there, such as array.filled(0)"
    elif not spec.accepts(array.shape):
        wanted = "one axis of levels" if spec.table else spec.shape
        yield f"parameter '{key}' has shape {array.shape}, not {wanted}"
    elif form is not None and array.dtype.kind in "iuf":
        try:
            form.check(array, f"parameter '{key}'")
        except InputError as error:
            yield str(error)
    elif array.dtype.name not in DTYPES:
        yield f"parameter '{key}' has dtype {array.dtype}; accepted: {', '.join(DTYPES)}"
    elif not array.dtype.isnative:
        yield f"parameter '{key}' is in another byte order; give array.astype(array.dtype.newbyteorder('='))"
    elif not allow_nonfinite and not np.isfinite(array).all():
        yield f"parameter '{key}' holds values that are not finite"
