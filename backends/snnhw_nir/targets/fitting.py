"""Making a graph what one reader reads correctly, and saying where that cannot be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np

from snnhw_nir.graph import Array, Node
from snnhw_nir.targets.dialects import Dialect
from snnhw_nir.targets.draft import Draft
from snnhw_nir.targets.loops import left_biases, out_of_turn
from snnhw_nir.targets.rewriting import STEPS
from snnhw_nir.writing.graphs import Written

__all__ = ["fitted", "misfits"]


def fitted(written: Written, dialect: Dialect, dt: float) -> Draft:
    """The same computation, in the words of a dialect."""
    nodes = {name: node for name, node in written.graph.nodes.items() if isinstance(node, Node)}
    draft = Draft(nodes, written.graph.edges, written.arriving, written.ports, dt)
    for step in STEPS:
        draft = step(draft, dialect)
    return draft


# -- What a reader cannot take ----------------------------------------------------------------------


def misfits(draft: Draft, dialect: Dialect) -> list[str]:
    """Everything in a graph that the reader gets wrong or refuses, each with its node."""
    found = [
        f"{name}: '{dialect.name}' reads no {node.type}"
        for name, node in draft.nodes.items()
        if node.type not in dialect.nodes
    ]
    found += _broken_rules(draft, dialect)
    if not dialect.several:
        for kind in ("Input", "Output"):
            if len(names := draft.of(kind)) > 1:
                found.append(f"{', '.join(names)}: '{dialect.name}' takes graphs of one {kind} only")
    if not dialect.joins:
        for name in draft.of("Output"):
            if len(meeting := draft.sources(name)) > 1:
                said = f"'{dialect.name}' returns each, and adds up nothing"
                found.append(f"{name}: {', '.join(meeting)} meet here: {said}")
    return [*found, *out_of_turn(draft, dialect), *left_biases(draft, dialect)]


def _broken_rules(draft: Draft, dialect: Dialect) -> Iterator[str]:
    for rule in dialect.rules:
        for name, node in draft.nodes.items():
            if node.type not in rule.types or node.type not in dialect.nodes:
                continue
            value = _quantity(node, rule.field, draft.dt)
            if value is not None and not _MUST[rule.must](value, node):
                yield f"{name}: its {rule.field} must be {rule.must}: '{dialect.name}': {rule.because}"


def _quantity(node: Node, field: str, dt: float) -> Array | None:
    fields = {
        name: np.asarray(value, np.float64)
        for name, value in node.fields.items()
        if not isinstance(value, str)
    }
    if field == "gain":
        return fields["r"] * dt / fields.get("tau", fields.get("tau_mem", np.ones(())))
    if field == "current gain":
        return fields["w_in"] * dt / fields["tau_syn"]
    if field.endswith(" in steps"):
        return fields[field.removesuffix(" in steps")] / dt
    return fields.get(field)


_MUST: Final[Mapping[str, Callable[[Array, Node], bool]]] = {
    "zero": lambda value, node: bool((value == 0).all()),
    "1": lambda value, node: bool(np.allclose(value, 1.0, rtol=5e-7, atol=0.0)),
    "1 or more": lambda value, node: bool((value >= 1.0).all()),
    "more than 1": lambda value, node: bool((value > 1.0).all()),
    "one number": lambda value, node: bool(np.allclose(value, value.flat[0], rtol=2e-7, atol=0.0)),
    "equal to v_reset": lambda value, node: bool((value == np.asarray(node.fields["v_reset"])).all()),
}
