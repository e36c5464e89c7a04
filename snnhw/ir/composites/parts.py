"""An op as the ops that make it: what it says of its parts, as nodes and edges of a program.

NAME.PART   every part but the last
NAME        the last one, with the output ports of the op
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from snnhw.errors import ProgramError
from snnhw.ir.composites.composite import Composite
from snnhw.ir.frozen import FrozenMap
from snnhw.ir.ops import Op, Part, Parts, Shape
from snnhw.ir.params import key_of
from snnhw.ir.program import Edge

__all__ = ["made_of", "parts_of"]


def parts_of(op: Op, shapes: Mapping[str, Shape]) -> Parts:
    """What an op is made of, when that makes sense; nothing, for a core op.

    Args:
        shapes: input port -> shape of one sample.

    Raises:
        ProgramError: its parts do not fit each other, or the op.
    """
    parts = op.parts(shapes) or {}
    problems = list(_problems(op, parts)) if parts else []
    if problems:
        raise ProgramError([f"{type(op).__name__}.parts(): {problem}" for problem in problems])
    return parts


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


def _misfits(op: Op, part: Part, known: set[str]) -> Iterator[str]:
    kind, own, whole = type(part.op).__name__, part.op.params(), op.params()
    if not part.op.stateless or any(spec.kind == "statistic" for spec in own.values()):
        yield f"is a {kind}, which remembers something; parts do not"
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
