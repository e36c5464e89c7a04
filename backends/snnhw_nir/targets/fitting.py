"""Making a graph what one reader reads correctly, and saying where that cannot be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from snnhw_nir.graph import Array, Node
from snnhw_nir.targets.dialects import Dialect
from snnhw_nir.targets.draft import Draft
from snnhw_nir.targets.loops import left_biases, out_of_turn
from snnhw_nir.targets.rewriting import STEPS
from snnhw_nir.writing.graphs import Written

__all__ = ["fitted", "misfits", "unmodelled"]


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
    found = [*_unread(draft, dialect), *_broken_rules(draft, dialect), *_ends(draft, dialect)]
    return [*found, *out_of_turn(draft, dialect), *left_biases(draft, dialect)]


def unmodelled(draft: Draft, dialect: Dialect) -> list[str]:
    """The same without what `snnhw_nir.targets.meant` does likewise, and with what is put otherwise in files
    that are written for the reader."""
    alike = replace(
        dialect,
        nodes=dialect.nodes | dialect.reads,
        rules=tuple(rule for rule in dialect.rules if not rule.modelled),
    )
    found = [*_unread(draft, alike), *_put_otherwise(draft, dialect), *_broken_rules(draft, alike)]
    return [*found, *_ends(draft, dialect), *out_of_turn(draft, dialect)]


def _put_otherwise(draft: Draft, dialect: Dialect) -> Iterator[str]:
    for name in draft.of("Conv1d", "Conv2d") if not dialect.groups else ():
        if (np.asarray(draft.nodes[name].fields["groups"]) != 1).any():
            yield f"{name}: '{dialect.name}' reads no convolutions in groups"
    for name in draft.of(*dialect.unpadded):
        if (np.asarray(draft.nodes[name].fields["padding"]) != 0).any():
            yield f"{name}: '{dialect.name}' does not pad as {draft.nodes[name].type} says"


def _unread(draft: Draft, dialect: Dialect) -> Iterator[str]:
    for name, node in draft.nodes.items():
        if node.type not in dialect.nodes:
            yield f"{name}: '{dialect.name}' reads no {node.type}"
    for name in draft.of("Conv1d", "Conv2d") if not dialect.dilation else ():
        if (np.asarray(draft.nodes[name].fields["dilation"]) != 1).any():
            yield f"{name}: '{dialect.name}' ignores its dilation"
    for name in draft.of("Flatten") if dialect.channels_last else ():
        yield from _flattened_otherwise(draft, dialect, name)


def _flattened_otherwise(draft: Draft, dialect: Dialect, name: str) -> Iterator[str]:
    """A Flatten that does not flatten all that arrives, or whose order nothing behind it makes up for."""
    fields = draft.nodes[name].fields
    shape = tuple(int(size) for size in np.ravel(fields.get("input_type", ())))
    start, end = (int(np.ravel(fields[field])[0]) for field in ("start_dim", "end_dim"))
    if start not in (0, -len(shape)) or end not in (-1, len(shape) - 1):
        yield f"{name}: '{dialect.name}' flattens all axes, not from {start} to {end}"
    plain = len(shape) in (1, 2) or (shape and (shape[0] == 1 or np.prod(shape[1:]) == 1))
    behind = [draft.types[each] for each in draft.targets(name)]
    if not plain and set(behind) - {"Affine", "Linear"}:
        said = f"'{dialect.name}' flattens channels last"
        yield f"{name}: {said}; only a Linear behind it can make up for that, not {', '.join(behind)}"


def _ends(draft: Draft, dialect: Dialect) -> Iterator[str]:
    """Where more comes in, goes out or meets than the reader takes."""
    if not dialect.several:
        for kind in ("Input", "Output"):
            if len(names := draft.of(kind)) > 1:
                yield f"{', '.join(names)}: '{dialect.name}' takes graphs of one {kind} only"
    if not dialect.joins:
        for name in draft.of("Output"):
            if len(meeting := draft.sources(name)) > 1:
                said = f"'{dialect.name}' returns each, and adds up nothing"
                yield f"{name}: {', '.join(meeting)} meet here: {said}"
    if dialect.chains:
        yield from _out_of_row(draft, dialect)


def _out_of_row(draft: Draft, dialect: Dialect) -> Iterator[str]:
    for kind in ("Input", "Output"):
        for name in draft.of(kind):
            if name != kind.lower():
                yield f"{name}: '{dialect.name}' looks for the {kind} by the name '{kind.lower()}'"
    for name in draft.nodes:
        for heard, how in ((draft.sources(name), "hears"), (draft.targets(name), "feeds")):
            if len(heard) > 1:
                said = f"'{dialect.name}' reads nodes in a row only"
                yield f"{name}: it {how} {', '.join(heard)}: {said}, and drops the rest"


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


def _close_to_one(value: object) -> bool:
    return bool(np.allclose(np.asarray(value), 1.0, rtol=5e-7, atol=0.0))


_MUST: Final[Mapping[str, Callable[[Array, Node], bool]]] = {
    "zero": lambda value, node: bool((value == 0).all()),
    "1": lambda value, node: _close_to_one(value),
    "1, with r or without": lambda value, node: any(
        _close_to_one(each) for each in (value, node.fields["r"])
    ),
    "1 or more": lambda value, node: bool((value >= 1.0).all()),
    "more than 1": lambda value, node: bool((value > 1.0).all()),
    "one number": lambda value, node: bool(np.allclose(value, value.flat[0], rtol=2e-7, atol=0.0)),
    "equal to v_reset": lambda value, node: bool((value == np.asarray(node.fields["v_reset"])).all()),
}
