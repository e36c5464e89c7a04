"""How a program is said as a graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from snnhw.errors import ExportError, LoadError
from snnhw.ir import (
    Add,
    AvgPool2d,
    Conv1d,
    Conv2d,
    Dropout,
    Edge,
    Flatten,
    Input,
    Linear,
    Neuron,
    Op,
    Output,
    Params,
    Pointwise,
    Program,
    Scale,
    Shape,
    SumPool2d,
    infer_shapes,
)
from snnhw.ir.models.textbook import TEXTBOOK
from snnhw.passes import components
from snnhw_nir.convention import Convention
from snnhw_nir.cycles import delayed_edges
from snnhw_nir.graph import Array, Graph, Node
from snnhw_nir.reading.making import THRESHOLD
from snnhw_nir.wires import WIRE, unused, without_wires
from snnhw_nir.writing.folding import folded
from snnhw_nir.writing.neurons import say

__all__ = ["Written", "graph_of"]

REAL: Final = np.float32
"""What numbers that are worked out here are written in; simulators compute in it."""


@dataclass(frozen=True)
class Written:
    """A program as a graph.

    Attributes:
        arriving: node of the graph -> shape of what arrives there.
        ports: output port of the program -> node of the graph that gives it.
    """

    graph: Graph
    arriving: Mapping[str, Shape]
    ports: Mapping[str, str]


@dataclass(frozen=True)
class _Part:
    """What one node of a program became.

    Attributes:
        nodes: last part of a name -> node; "" for the node that keeps the program's name.
        edges: between them; late: those among them that are delayed by a step.
        entry: where edges arrive.
        exits: output port -> node that gives it.
    """

    nodes: Mapping[str, Node]
    exits: Mapping[str, str]
    entry: str = ""
    edges: tuple[tuple[str, str], ...] = ()
    late: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class _Here:
    """A node of a program, with what is around it.

    Attributes:
        x: shape of what arrives; y: of what its first port gives.
    """

    op: Any
    params: Mapping[str, Array]
    x: Shape
    y: Shape
    dt: float
    scheme: str
    used: frozenset[str]


def graph_of(program: Program, params: Params, dt: float, scheme: str) -> Written:
    """The graph of a valid program.

    Names, weights and their dtypes stay, except that batch norm is part of the layer before it, and dropout
    left out; a sum stands wherever edges meet. What a neuron's reset becomes is not judged here; see
    `snnhw_nir.targets.changes`.

    Raises:
        ExportError: listing every node and edge that NIR has no form for.
    """
    whole = folded(program, params)
    program, params = whole.program, whole.params
    reasons = [f"{name}: {reason}" for name, reason in whole.refused.items()]
    parts: dict[str, _Part] = {}
    shapes = infer_shapes(program).shapes
    for name in program.nodes:
        if name in whole.refused:
            continue
        try:
            parts[name] = _part(_here(program, params, shapes, name, Convention(dt, scheme)))
        except ExportError as error:
            reasons += [f"{name}: {reason}" for reason in error.reasons]
    reasons += _against_edges(program, parts)
    if reasons:
        raise ExportError(reasons)
    try:
        for bare in (True, False):
            graph = _joined(program, parts, shapes, dt, bare=bare)
            if not bare or _delays_are_found(program, graph, parts):
                ports = {
                    f"{name}.{port}": _dotted(name, last)
                    for name, part in parts.items()
                    for port, last in part.exits.items()
                }
                return Written(graph, _arriving(program, parts, shapes, graph), ports)
    except LoadError as error:
        raise ExportError([str(error)]) from error
    raise AssertionError("delays that are written out are always found")


def _part(here: _Here) -> _Part:
    writer = _WRITERS.get(type(here.op))
    if writer is None:
        hint = "; use AvgPool2d or SumPool2d" if "Pool" in type(here.op).__name__ else ""
        raise ExportError([f"NIR has no form for {type(here.op).__name__}{hint}"])
    if not here.y:
        raise ExportError(["it gives single numbers; NIR needs at least one axis"])
    return writer(here)


def _here(
    program: Program, params: Params, shapes: Mapping[str, Shape], name: str, convention: Convention
) -> _Here:
    op = program.nodes[name]
    x = _shape_into(program, shapes, name)
    return _Here(
        op=op,
        params={param: np.asarray(params[key]) for param, key in program.param_keys(name).items()},
        x=x,
        y=shapes[f"{name}.{op.out_ports[0]}"] if op.out_ports else x,
        dt=convention.dt,
        scheme=convention.scheme,
        used=frozenset(edge.source.port for edge in program.edges if edge.source.node == name),
    )


def _against_edges(program: Program, parts: Mapping[str, _Part]) -> Iterator[str]:
    for edge in program.edges:
        if edge.source.node in parts and edge.source.port not in parts[edge.source.node].exits:
            known = ", ".join(parts[edge.source.node].exits)
            yield f"edge {edge.key}: of '{edge.source.node}' NIR gives only {known}; read that"
        if edge.init != 0.0:
            yield f"edge {edge.key}: it starts from {edge.init!r}; what is under way at first is 0 in NIR"


def _joined(
    program: Program, parts: Mapping[str, _Part], shapes: Mapping[str, Shape], dt: float, *, bare: bool
) -> Graph:
    """Parts and edges together. With ``bare``, a delay of one step within a cycle goes without saying."""
    nodes = {_dotted(name, last): node for name, part in parts.items() for last, node in part.nodes.items()}
    edges: list[tuple[str, str]] = []

    def connect(source: str, target: str, steps: int, shape: Shape) -> None:
        if steps:
            late = unused(f"{target}.delay", nodes)
            nodes[late] = Node("Delay", {"delay": np.full(shape, steps * dt, REAL)})
            edges.append((source, late))
            source = late
        edges.append((source, target))

    for name, part in parts.items():
        for a, b in part.edges:
            steps = int((a, b) in part.late and not bare)
            connect(_dotted(name, a), _dotted(name, b), steps, _shape_into(program, shapes, name))
    implied = set(_in_cycles(program)) if bare else set()
    for edge in program.edges:
        connect(*_ends(edge, parts), edge.delay * (edge not in implied), shapes[edge.src])
    nodes, joined = without_wires(nodes, edges)
    twice = sorted({f"{a} -> {b}" for (a, b), count in Counter(joined).items() if count > 1})
    if twice:
        raise LoadError(f"NIR has at most one edge between two nodes; there are more: {', '.join(twice)}")
    return Graph(nodes, joined)


def _arriving(
    program: Program, parts: Mapping[str, _Part], shapes: Mapping[str, Shape], graph: Graph
) -> dict[str, Shape]:
    """Within a part, which is a neuron if it has several nodes, all have one shape."""
    found = {
        _dotted(name, last): _shape_into(program, shapes, name)
        for name, part in parts.items()
        for last in part.nodes
    }
    for name, node in graph.nodes.items():
        if isinstance(node, Node) and node.type == "Delay":
            found[name] = np.shape(node.fields["delay"])
    return found


def _shape_into(program: Program, shapes: Mapping[str, Shape], name: str) -> Shape:
    """The shape of what arrives at a node; of an Input, of what it gives."""
    op = program.nodes[name]
    arriving = [shapes[edge.src] for port in op.in_ports for edge in program.into(name, port)]
    return arriving[0] if arriving else shapes[f"{name}.{op.out_ports[0]}"]


def _in_cycles(program: Program) -> Iterator[Edge]:
    place = {name: group.nodes for group in components(program) if group.recurrent for name in group.nodes}
    for edge in program.edges:
        if edge.delay == 1 and edge.target.node in place.get(edge.source.node, ()):
            yield edge


def _delays_are_found(program: Program, graph: Graph, parts: Mapping[str, _Part]) -> bool:
    """Whether a reader that delays cycles in the usual way delays the edges that are delayed here."""
    implied = {_ends(edge, parts) for edge in _in_cycles(program)}
    implied |= {(_dotted(name, a), _dotted(name, b)) for name, part in parts.items() for a, b in part.late}
    nodes = {name: node for name, node in graph.nodes.items() if isinstance(node, Node)}
    stateful = {name: node.type in TEXTBOOK for name, node in nodes.items()}
    roots = [name for name, node in nodes.items() if node.type == "Input"]
    apart = {place for place, (_, target) in enumerate(graph.edges) if nodes[target].type == "Delay"}
    found = {graph.edges[place] for place in delayed_edges(stateful, graph.edges, roots, apart=apart)}
    return found == implied


def _ends(edge: Edge, parts: Mapping[str, _Part]) -> tuple[str, str]:
    source, target = edge.source, edge.target
    return (
        _dotted(source.node, parts[source.node].exits[source.port]),
        _dotted(target.node, parts[target.node].entry),
    )


def _dotted(name: str, last: str) -> str:
    return f"{name}.{last}" if last else name


# -- Ops ------------------------------------------------------------------------------------------


def _one(kind: str, port: str = "y", /, **fields: Any) -> _Part:
    return _Part({"": Node(kind, {name: np.asarray(value) for name, value in fields.items()})}, {port: ""})


def _linear(here: _Here) -> _Part:
    if len(here.x) != 1:
        raise ExportError(
            [f"NIR's products take one axis, but what arrives has shape {here.x}; flatten it first"]
        )
    return _one("Affine" if here.op.bias else "Linear", "y", **here.params)


def _conv(here: _Here) -> _Part:
    op = here.op
    bias = here.params.get("bias", np.zeros(op.out_channels, here.params["weight"].dtype))
    sizes = {"stride": op.stride, "padding": op.padding, "dilation": op.dilation}
    if op.rank == 1:  # the package takes numbers there, not arrays
        sizes = {name: value[0] for name, value in sizes.items()}
    shape = here.x[1:] if op.rank == 2 else here.x[1]
    fields = {"input_shape": shape, "weight": here.params["weight"], "bias": bias, "groups": op.groups}
    return _one(type(op).__name__, **fields, **sizes)


def _pool(here: _Here) -> _Part:
    op = here.op
    return _one(type(op).__name__, kernel_size=op.kernel, stride=op.stride, padding=op.padding)


def _scale(here: _Here) -> _Part:
    return _one("Scale", scale=np.array(np.broadcast_to(here.params["weight"], here.y)))


def _pointwise(here: _Here) -> _Part:
    op = here.op
    if op.ports != ("x",) or list(op.outputs.values()) != [THRESHOLD]:
        raise ExportError([f"NIR has no form for {op.summary()}"])
    (port,) = op.outputs
    return _one("Threshold", port, threshold=np.array(np.broadcast_to(here.params["threshold"], here.y)))


def _neuron(here: _Here) -> _Part:
    op: Neuron = here.op
    said = say(op, here.params, here.y, here.dt, here.scheme)
    nodes = {"": Node(said.type, {name: value.astype(REAL) for name, value in said.fields.items()})}
    membrane = op.model.states[-1].name
    if op.model.fire is None or (op.reset == "none" and "spk" not in here.used and said.loop is None):
        return _Part(nodes, {membrane: ""})
    exits, edges, last = {"spk": ""}, [], ""
    if op.reset == "none":  # a membrane that is never reset, and its spikes apart
        level = here.params["v_threshold" if "v_threshold" in here.params else "threshold"]
        nodes["spikes"] = Node("Threshold", {"threshold": _everywhere(level, here.y)})
        exits, edges, last = {membrane: ""}, [("", "spikes")], "spikes"
    if op.graded:  # what a spike is worth
        nodes["worth"] = Node("Scale", {"scale": _everywhere(here.params["graded_spikes_factor"], here.y)})
        edges, last = [*edges, (last, "worth")], "worth"
    if said.loop is None:
        return _Part(nodes, {**exits, "spk": last}, edges=tuple(edges))
    nodes["recurrent"] = Node("Scale", {"scale": _everywhere(said.loop, here.y)})
    late = (last, "recurrent")
    return _Part(nodes, {**exits, "spk": last}, edges=(*edges, late, ("recurrent", "")), late=(late,))


def _everywhere(value: Array, shape: Shape) -> Array:
    return np.array(np.broadcast_to(value, shape), REAL)


_WRITERS: Final[Mapping[type[Op], Callable[[_Here], _Part]]] = {
    Input: lambda here: _one("Input", shape=here.y),
    Output: lambda here: _one("Output", shape=here.y),
    Add: lambda here: _Part({"": WIRE}, {"y": ""}),
    Dropout: lambda here: _Part({"": WIRE}, {"y": ""}),  # as it is in evaluation
    Linear: _linear,
    Conv1d: _conv,
    Conv2d: _conv,
    AvgPool2d: _pool,
    SumPool2d: _pool,
    Flatten: lambda here: _one("Flatten", start_dim=here.op.start, end_dim=here.op.end, input_type=here.x),
    Scale: _scale,
    Pointwise: _pointwise,
    Neuron: _neuron,
}
"""Type of op -> how it is said; the others have no form."""
