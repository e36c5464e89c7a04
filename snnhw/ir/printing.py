"""A program as text: one stable line per node."""

from __future__ import annotations

from snnhw.ir.program import Edge, Program
from snnhw.ir.shapes import infer_shapes

__all__ = ["describe"]


def describe(program: Program) -> str:
    """``name  what it is  output shape  <- where its inputs come from``."""
    shapes = infer_shapes(program).shapes
    head = f"program dt={program.time.dt:g}"
    if program.time.static_inputs:
        head += f" static={','.join(program.time.static_inputs)}"
    rows = [
        (name, op.summary(), _shape(program, name, shapes), _sources(program, name))
        for name, op in program.nodes.items()
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(row, [*widths, 0], strict=True)) for row in rows
    ]
    return "\n".join([head, *(f"  {line}".rstrip() for line in lines)])


def _shape(program: Program, name: str, shapes: dict[str, tuple[int, ...]]) -> str:
    ports = program.nodes[name].out_ports
    return str(shapes.get(f"{name}.{ports[0]}", "?")) if ports else ""


def _sources(program: Program, name: str) -> str:
    parts = []
    for port in program.nodes[name].in_ports:
        label = "" if port == "x" else f"{port}: "
        parts.append(label + " + ".join(_edge(edge) for edge in program.into(name, port)))
    return f"<- {'; '.join(parts)}" if parts else ""


def _edge(edge: Edge) -> str:
    late = f" @-{edge.delay}" if edge.delay else ""
    start = f" from {edge.init}" if edge.init != 0.0 else ""
    return f"{edge.src}{late}{start}"
