"""An op as the ops that make it: what it says of its parts, as nodes and edges of a program.

NAME.PART   every part but the last
NAME        the last one, with the output ports of the op
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Final

from snnhw.errors import ProgramError
from snnhw.ir.composites.composite import Composite
from snnhw.ir.frozen import FrozenMap
from snnhw.ir.ops import Op, Part, Parts, Shape
from snnhw.ir.params import key_of
from snnhw.ir.program import Edge

__all__ = ["made_of", "parts_of", "shapes_within"]

NAME: Final = re.compile(r"[A-Za-z0-9]+(_[A-Za-z0-9]+)*")


def parts_of(op: Op, shapes: Mapping[str, Shape]) -> Parts:
    """What an op is made of, when that makes sense; nothing, for a core op.

    Args:
        shapes: input port -> shape of one sample.

    Raises:
        ProgramError: its parts do not fit each other, or the op.
    """
    return _sound(op, tuple(shapes.items()))


@lru_cache(maxsize=1024)
def _sound(op: Op, arriving: tuple[tuple[str, Shape], ...]) -> Parts:
    shapes = dict(arriving)
    parts = op.parts(shapes) or {}
    problems = list(_problems(op, parts)) or list(_misshapen(op, parts, shapes)) if parts else []
    if problems:
        raise ProgramError([f"{type(op).__name__}.parts(): {problem}" for problem in problems])
    return parts


def shapes_within(parts: Parts, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    """Every port among the parts -> shape of one sample: those of the whole, and ``part.port``.

    Raises:
        ProgramError: a part does not take what arrives.
    """
    found = dict(shapes)
    for name, part in parts.items():
        try:
            given = part.op.infer({port: found[source] for port, source in part.reads.items()})
        except ProgramError as error:
            raise ProgramError([f"'{name}' ({problem})" for problem in error.problems]) from error
        found |= {f"{name}.{port}": shape for port, shape in given.items()}
    return found


def made_of(
    name: str, op: Op, shapes: Mapping[str, Shape], *, free: Callable[[str], bool] = lambda _: True
) -> Composite | None:
    """A node as what its op is made of; None for a core op. Its ports, and the keys of its parameters, stay.

    Args:
        shapes: input port -> shape of one sample.
        free: whether a name is that of no other node; one that is not gets underscores at its end.
    """
    parts = parts_of(op, shapes)
    if not parts:
        return None
    named = {part: _name(name, part, free) for part in parts}
    inputs: dict[str, tuple[str, ...]] = dict.fromkeys(op.in_ports, ())
    edges = []
    for part, each in parts.items():
        for port, source in each.reads.items():
            before, _, other = source.rpartition(".")
            if before:
                edges.append(Edge(f"{named[before]}.{other}", f"{named[part]}.{port}"))
            else:
                inputs[source] += (f"{named[part]}.{port}",)
    return Composite(
        nodes=FrozenMap({named[part]: _tied(name, op, named[part], each.op) for part, each in parts.items()}),
        inputs=FrozenMap(inputs),
        outputs=FrozenMap({port: f"{name}.{port}" for port in op.out_ports}),
        edges=tuple(edges),
    )


def _name(name: str, part: str, free: Callable[[str], bool]) -> str:
    found = f"{name}.{part}" if part else name
    while part and not free(found):
        found += "_"
    return found


def _tied(name: str, op: Op, node: str, part: Op) -> Op:
    """A part whose parameters are those of the whole."""
    keys = {param: key_of(name, part.keys.get(param, param), op.keys) for param in part.params()}
    own = {param: key for param, key in keys.items() if key != f"{node}.{param}"}
    return replace(part, keys=FrozenMap(own))


def _problems(op: Op, parts: Parts) -> Iterator[str]:
    known, read = set(op.in_ports), set()
    for name, part in parts.items():
        if name and not NAME.fullmatch(name):
            yield f"'{name}' cannot name a part; use letters, digits and single underscores between them"
        yield from (f"'{name}' {problem}" for problem in _misfits(op, part, known))
        known |= {f"{name}.{port}" for port in part.op.out_ports}
        read |= set(part.reads.values())
    *_, (last, end) = parts.items()
    if last:
        yield f"the last part stands for the whole, and is named '', not '{last}'"
    elif end.op.out_ports != op.out_ports:
        yield f"the last part has the ports {end.op.out_ports}, and the whole {op.out_ports}"
    unread = [port for port in op.in_ports if port not in read]
    if unread:
        yield f"no part reads {', '.join(unread)}"


def _misshapen(op: Op, parts: Parts, shapes: Mapping[str, Shape]) -> Iterator[str]:
    try:
        within = shapes_within(parts, shapes)
    except ProgramError as error:
        yield from error.problems
        return
    for port, shape in op.infer(shapes).items():
        if within[f".{port}"] != shape:
            yield f"they give '{port}' the shape {within[f'.{port}']}, and the whole {shape}"


def _misfits(op: Op, part: Part, known: set[str]) -> Iterator[str]:
    kind, own, whole = type(part.op).__name__, part.op.params(), op.params()
    if not part.op.stateless or any(spec.kind == "statistic" for spec in own.values()):
        yield f"is a {kind}, which remembers something; parts do not"
    if part.op.clocked and not op.clocked:
        yield f"is a {kind}, which depends on the step or on chance; then the whole has to say so: clocked"
    if set(part.reads) != set(part.op.in_ports):
        given = ", ".join(part.reads) or "nothing"
        yield f"is a {kind}, which reads {', '.join(part.op.in_ports)}, not {given}"
    for source in part.reads.values():
        if source not in known:
            yield f"reads '{source}', which is no port of the whole or of an earlier part"
    for param, spec in own.items():
        name = part.op.keys.get(param, param)
        if name not in whole:
            yield f"has a parameter '{name}', which the whole does not have"
        elif whole[name].shape != spec.shape:
            yield f"has '{name}' in the shape {spec.shape}, and the whole in {whole[name].shape}"
