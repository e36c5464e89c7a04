"""A NIR graph as a plain value, and the types of node that there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from snnhw.errors import LoadError
from snnhw.words import brief, listing

__all__ = ["MAX_DEPTH", "SCHEMA", "Array", "Graph", "Node", "Value", "from_tree", "same", "to_tree"]

Array = npt.NDArray[Any]
Value = Array | str
Kind = Literal["reals", "ints", "padding"]
Tree = Mapping[str, Any]
"""Nested mappings of names to arrays, texts and mappings: what an HDF5 file holds."""

MAX_DEPTH: Final = 32
"""How deep graphs may be nested."""


@dataclass(frozen=True)
class Field:
    """One field of a type of node.

    Attributes:
        kind: real numbers; integers; or integers, ``same`` or ``valid``.
        needed: whether a file without it is broken.
        above: what every number must be greater than.
        least: what every number must be at least.
    """

    kind: Kind = "reals"
    needed: bool = True
    above: float | None = None
    least: float | None = None


REAL, TIME, OPTIONAL = Field(), Field(above=0.0), Field(needed=False)
SIZES, COUNT = Field("ints", above=0), Field("ints", least=0)
SHAPE: Final = {"shape": SIZES}
WINDOW: Final = {"kernel_size": SIZES, "stride": SIZES, "padding": COUNT}
CONV: Final = {
    "input_shape": Field("ints", needed=False, above=0),
    "weight": REAL,
    "bias": OPTIONAL,
    "stride": SIZES,
    "padding": Field("padding", least=0),
    "dilation": SIZES,
    "groups": SIZES,
}
FIRES: Final = {"v_threshold": REAL, "v_reset": OPTIONAL}
LEAKS: Final = {"tau": TIME, "r": REAL, "v_leak": REAL}
CUBA: Final = {"tau_syn": TIME, "tau_mem": TIME, "r": REAL, "v_leak": REAL, "w_in": OPTIONAL}

SCHEMA: Final[Mapping[str, Mapping[str, Field]]] = {
    "Input": SHAPE,
    "Output": SHAPE,
    "Affine": {"weight": REAL, "bias": REAL},
    "Linear": {"weight": REAL},
    "Scale": {"scale": REAL},
    "Conv1d": CONV,
    "Conv2d": CONV,
    "SumPool2d": WINDOW,
    "AvgPool2d": WINDOW,
    "Flatten": {
        "start_dim": Field("ints"),
        "end_dim": Field("ints"),
        "input_type": Field("ints", needed=False, above=0),
    },
    "Delay": {"delay": Field(least=0.0)},
    "Threshold": {"threshold": REAL},
    "I": {"r": REAL},
    "IF": {"r": REAL, **FIRES},
    "LI": LEAKS,
    "LIF": {**LEAKS, **FIRES},
    "CubaLI": CUBA,
    "CubaLIF": {**CUBA, **FIRES},
}
"""Type of node -> its fields, of every release from 0.1 to 1.0.8."""


@dataclass(frozen=True, eq=False)
class Node:
    """One node that is no graph. Fields that a file may leave out are absent, never None."""

    type: str
    fields: Mapping[str, Value]
    metadata: Tree = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes by name, in no order that a file would keep; edges in order, each once: they are a set in NIR,
    and simulators take those that old files list twice for one."""

    nodes: Mapping[str, Node | Graph]
    edges: tuple[tuple[str, str], ...]
    metadata: Tree = field(default_factory=dict)


def from_tree(tree: Any, where: str = "", depth: int = 0) -> Node | Graph:
    """The node or graph that nested mappings hold; ``where`` is its name, for messages.

    Raises:
        LoadError: naming node and field, for anything that no release of NIR says.
    """
    if not isinstance(tree, Mapping):
        raise LoadError(f"{_node(where)} is {brief(tree)}, not a group of fields")
    if depth > MAX_DEPTH:
        raise LoadError(f"{_node(where)}: graphs are nested deeper than {MAX_DEPTH}")
    kind = _text(tree.get("type"))
    metadata = tree.get("metadata", {})
    given = {name: value for name, value in tree.items() if name not in ("type", "metadata")}
    if not isinstance(metadata, Mapping):
        raise LoadError(f"{_node(where)}: its metadata is {brief(metadata)}, not a group")
    if isinstance(kind, str) and kind == "NIRGraph":
        return _graph(given, metadata, where, depth)
    if not isinstance(kind, str) or kind not in SCHEMA:
        known = ", ".join([*SCHEMA, "NIRGraph"])
        raise LoadError(f"{_node(where)} is of type {brief(kind)}, which is not known; known: {known}")
    schema = SCHEMA[kind]
    if stray := sorted(set(given) - set(schema), key=str):
        raise LoadError(
            f"{_node(where)} ({kind}) has the unknown field {listing(stray)}; known: {', '.join(schema)}"
        )
    present = {name: value for name, value in given.items() if value is not None}
    if missing := [name for name, spec in schema.items() if spec.needed and name not in present]:
        raise LoadError(f"{_node(where)} ({kind}): the field '{missing[0]}' is missing")
    at = f"{_node(where)} ({kind})"
    return Node(
        kind,
        {name: _value(value, schema[name], f"{at}, {name}") for name, value in present.items()},
        metadata,
    )


def _graph(given: Tree, metadata: Tree, where: str, depth: int) -> Graph:
    nodes, edges = given.get("nodes"), given.get("edges")
    if not isinstance(nodes, Mapping) or edges is None or set(given) != {"nodes", "edges"}:
        held = listing(sorted(given, key=str))
        raise LoadError(f"{_node(where)}: a graph holds nodes and edges, and nothing else; it holds {held}")
    inner = {
        name: from_tree(node, f"{where}.{name}" if where else name, depth + 1) for name, node in nodes.items()
    }
    return Graph(inner, tuple(dict.fromkeys(_edges(edges, inner, where))), metadata)


def _edges(edges: Any, nodes: Tree, where: str) -> Iterator[tuple[str, str]]:
    listed = np.asarray(edges, object)
    if listed.size and listed.ndim == 0:
        raise LoadError(f"{_node(where)}: its edges are {brief(edges)}, not pairs of names")
    for edge in edges if listed.size else ():
        pair = tuple(map(_text, edge)) if np.shape(edge) == (2,) else ()
        if len(pair) != 2 or not all(isinstance(end, str) for end in pair):
            raise LoadError(f"{_node(where)}: the edge {brief(edge)} is no pair of names")
        for end in pair:
            if end not in nodes:
                raise LoadError(
                    f"{_node(where)}: edge {pair[0]!r} -> {pair[1]!r}: there is no node {brief(end)}"
                )
        yield pair


def _node(where: str) -> str:
    return f"node '{where}'" if where else "the graph"


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _value(value: Any, spec: Field, at: str) -> Value:
    word = _text(value)
    if spec.kind == "padding" and isinstance(word, str) and word in ("same", "valid"):
        return word
    try:
        array = np.asarray(value)
    except ValueError:  # ragged
        array = np.asarray(None)
    sorts = "iu" if spec.kind != "reals" else "fiu"
    if array.dtype.kind not in sorts:
        wanted = "real numbers" if spec.kind == "reals" else "integers"
        raise LoadError(f"{at}: {brief(value)} of dtype {array.dtype} is not {wanted}")
    if not np.isfinite(array).all():
        raise LoadError(f"{at}: it holds values that are not finite")
    if spec.above is not None and not (array > spec.above).all():
        raise LoadError(f"{at}: it holds {array.min()}, but must be greater than {spec.above:g}")
    if spec.least is not None and not (array >= spec.least).all():
        raise LoadError(f"{at}: it holds {array.min()}, but must be at least {spec.least:g}")
    return array


def to_tree(item: Node | Graph) -> dict[str, Any]:
    """What `from_tree` reads."""
    metadata = {"metadata": dict(item.metadata)} if item.metadata else {}
    if isinstance(item, Node):
        return {"type": item.type, **item.fields, **metadata}
    nodes = {name: to_tree(node) for name, node in item.nodes.items()}
    return {"type": "NIRGraph", "nodes": nodes, "edges": list(item.edges), **metadata}


def same(a: Node | Graph, b: Node | Graph) -> bool:
    """Whether two say the same in every bit, metadata apart."""
    if isinstance(a, Graph) and isinstance(b, Graph):
        alike = a.nodes.keys() == b.nodes.keys() and a.edges == b.edges
        return alike and all(same(a.nodes[name], b.nodes[name]) for name in a.nodes)
    if isinstance(a, Node) and isinstance(b, Node):
        alike = a.type == b.type and a.fields.keys() == b.fields.keys()
        return alike and all(_equal(a.fields[name], b.fields[name]) for name in a.fields)
    return False


def _equal(a: Value, b: Value) -> bool:
    if isinstance(a, str) or isinstance(b, str):
        return isinstance(a, str) and isinstance(b, str) and a == b
    if a.dtype.kind in "iu" and b.dtype.kind in "iu":  # counts are written in whatever width
        return a.shape == b.shape and bool((a == b).all())
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
