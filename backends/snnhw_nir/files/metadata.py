"""What NIR cannot say, beside the graph: so that our own files come back in every bit.

The metadata of the graph, under ``snnhw``, holds the program as JSON and the parameters that do not stand
in a node as they are. It is believed only if writing that program again gives the very graph of the file:
whoever edits a node need not know of the metadata, and is not overruled by it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
import numpy as np

from snnhw.errors import InputError, LoadError, SnnhwError
from snnhw.ir import Params, Program, check_params, require_valid
from snnhw.ir.codec import from_json, to_json
from snnhw_nir.convention import Convention
from snnhw_nir.graph import Array, Graph, Node, same
from snnhw_nir.wires import inlined

__all__ = ["Settings", "embed", "recover", "settings_of"]

SPACE: Final = "snnhw"
"""Our name in metadata; others leave it alone."""

VERSION: Final = 1


@dataclass(frozen=True)
class Settings:
    """What decides, besides the program, what a file says.

    Attributes:
        dt: length of a step in seconds; scheme: how a step is taken; target: for whom it was written.
        nested: whether modules within modules are graphs within graphs.
        groups: whether convolutions in groups are ``kept``, or written with ``zeros``.
    """

    dt: float
    scheme: str
    target: str
    nested: bool = False
    groups: str = "kept"  # as in files that say nothing of it


Write = Callable[[Program, Params, Settings], tuple[Graph, Mapping[str, str]]]
"""What makes a program into a graph, and says which of its nodes gives which port."""


def embed(graph: Graph, program: Program, params: Params, settings: Settings) -> Graph:
    """The graph with everything in it that `recover` needs."""
    nodes = inlined(graph).nodes
    stands = {
        key: place for key, array in params.items() if (place := _standing(nodes, key, np.asarray(array)))
    }
    apart = {key: np.asarray(array).reshape(-1) for key, array in params.items() if key not in stands}
    header = {"version": VERSION, "stands": stands, "program": to_json(program)}
    own: dict[str, Any] = {
        "dt": settings.dt,
        "scheme": settings.scheme,
        "target": settings.target,
        "nested": int(settings.nested),
        "header": msgspec.json.encode(header).decode(),
    }
    if any(getattr(op, "groups", 1) != 1 for op in program.nodes.values()):
        own["groups"] = settings.groups
    return replace(graph, metadata={**graph.metadata, SPACE: own | ({"params": apart} if apart else {})})


def _standing(nodes: Mapping[str, object], key: str, array: Array) -> tuple[str, str] | None:
    """Node and field that hold a parameter in every bit."""
    name, _, param = key.rpartition(".")
    node = nodes.get(name)
    if not isinstance(node, Node):
        return None
    value = node.fields.get("scale" if node.type == "Scale" else param)
    equal = isinstance(value, np.ndarray) and value.dtype == array.dtype and value.shape == array.shape
    return (
        (name, "scale" if node.type == "Scale" else param) if equal and _bits(value) == _bits(array) else None
    )


def _bits(array: Any) -> bytes:
    return np.ascontiguousarray(array).tobytes()


def settings_of(graph: Graph) -> Settings | None:
    """What the file says it was written with; None where it says nothing of ours.

    Raises:
        LoadError: it says what makes no sense.
    """
    own = graph.metadata.get(SPACE)
    if own is None:
        return None
    try:
        convention = Convention(float(own["dt"]), str(own["scheme"]))
        nested = bool(own.get("nested", 0))
        groups = str(own.get("groups", "kept"))
        return Settings(convention.dt, convention.scheme, str(own["target"]), nested, groups)
    except (InputError, AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        advice = "give dt= and scheme= to read the graph alone"
        raise LoadError(f"what snnhw left in its metadata is broken ({error}); {advice}") from error


def recover(graph: Graph, settings: Settings, write: Write) -> tuple[Program, Params, Mapping[str, str]]:
    """The program that was written, and which node of the graph gives each of its ports.

    Args:
        write: how a program is made into a graph.

    Raises:
        LoadError: there is none, or the graph is not the one that it gives.
    """
    own = graph.metadata[SPACE]
    try:
        header = msgspec.json.decode(own["header"])
        program = from_json(header["program"])
        require_valid(program)
        params = _params(graph, program, header["stands"], own.get("params", {}))
        check_params(program, params, allow_nonfinite=False)
        again, ports = write(program, params, settings)
    except (SnnhwError, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise LoadError(f"what snnhw left in its metadata is broken: {error}") from error
    if not same(again, replace(graph, metadata={})):
        raise LoadError("the graph was changed after snnhw wrote it")
    return program, params, ports


def _params(graph: Graph, program: Program, stands: Mapping[str, Any], apart: Mapping[str, Any]) -> Params:
    params: Params = {}
    nodes = inlined(graph).nodes
    for key, spec in program.params().items():
        if key in stands:
            name, field = stands[key]
            node = nodes[name]
            params[key] = np.asarray(node.fields[field]) if isinstance(node, Node) else np.empty(0)
        else:
            flat = np.asarray(apart[key])
            params[key] = flat if spec.table else flat.reshape(spec.shape)
    return params
