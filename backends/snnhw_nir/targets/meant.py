"""What a file means to one reader: the graph, with what that makes of each field in NIR's own words.

Membranes that start elsewhere than at 0 are counted from there, which changes no spike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from snnhw.errors import InputError, LoadError
from snnhw_nir.convention import Convention
from snnhw_nir.graph import Array, Graph, Node
from snnhw_nir.targets.dialects import APART, DIALECTS, Dialect, dialect_of
from snnhw_nir.targets.draft import Draft
from snnhw_nir.targets.fitting import unmodelled
from snnhw_nir.wires import inlined

__all__ = ["convention_of", "firing_at_ties", "hints", "meant", "reading_dialect"]

FIRING: Final = ("IF", "LIF", "CubaLIF")


def reading_dialect(name: str) -> Dialect:
    """The dialect in which a file is to be read.

    Raises:
        InputError: there is none of that name, or it computes what no program does.
    """
    if name in APART:
        habits = "; ".join(APART[name].habits)
        raise InputError(f"dialect={name!r}: no program computes what it makes of a file: {habits}")
    if name not in DIALECTS:
        dialect_of(name)  # says what there is
    return DIALECTS[name]


def convention_of(dialect: Dialect, dt: float, scheme: str) -> Convention:
    """How the graph that is `meant` becomes steps."""
    if dialect.reset == "subtract_late":
        return Convention(dt, scheme, "to_value", dialect.loop, "spyx")
    return Convention(dt, scheme, dialect.reset, dialect.loop, "unit gain" if dialect.exact else "textbook")


def meant(graph: Graph, dialect: Dialect, dt: float) -> tuple[Graph, tuple[str, ...]]:
    """The graph that says, without dialect, what this one is to a reader; and what was taken otherwise.

    Raises:
        LoadError: for what the reader refuses, or nobody knows what it makes of.
    """
    draft = _draft(graph, dt)
    if dialect.chains:
        draft, loops = _without_loops(draft)
    else:
        loops = {}
    if reasons := unmodelled(draft, dialect):
        raise LoadError(f"read as by {dialect.verified}: {'; '.join(reasons)}")
    for step in MEANT[dialect.name]:
        draft = step(draft)
    edges = (
        *draft.edges,
        *(edge for name, (node, cell) in loops.items() for edge in ((cell, name), (name, cell))),
    )
    whole = {**draft.nodes, **{name: node for name, (node, _) in loops.items()}}
    return Graph(whole, edges), draft.notes


def firing_at_ties(graph: Graph, dt: float) -> Graph:
    """The graph whose neurons fire at their threshold, too, and which says the same otherwise."""
    return _fires_at(_draft(graph, dt)).graph


def _draft(graph: Graph, dt: float) -> Draft:
    flat = inlined(graph)
    nodes = {name: node for name, node in flat.nodes.items() if isinstance(node, Node)}
    return Draft(nodes, flat.edges, {}, {}, dt)


def hints(graph: Graph, dt: float) -> tuple[str, ...]:
    """Where a file looks as if its writer meant another thing than NIR: Spyx writes ``r = 1 - dt / tau``, and
    never reads it."""
    flat = inlined(graph)
    cells = [
        node for node in flat.nodes.values() if isinstance(node, Node) and node.type in ("LIF", "CubaLIF")
    ]
    if not cells or not all(_as_spyx_writes(node, dt) for node in cells):
        return ()
    return (
        "r is 1 - dt/tau for every neuron, as Spyx writes it, which ignores r: dialect='spyx' reads it so",
    )


def _as_spyx_writes(node: Node, dt: float) -> bool:
    tau = np.asarray(node.fields.get("tau", node.fields.get("tau_mem")), np.float64)
    r = np.asarray(node.fields["r"], np.float64)
    return tau.shape == r.shape and bool(np.allclose(r, 1 - dt / tau, rtol=1e-5, atol=1e-6))


# -- Steps ------------------------------------------------------------------------------------------


def _reset_to_zero(draft: Draft) -> Draft:
    for name in draft.of(*FIRING):
        draft = _with(
            draft, name, "its v_reset is read as 0", v_reset=np.zeros_like(_field(draft, name, "v_threshold"))
        )
    return draft


def _without_gain(draft: Draft) -> Draft:
    """An input of 1 drives the membrane by 1 per time constant; that of an IF, within a step."""
    for name in draft.of("LIF", "IF"):
        unit = 1.0 if draft.types[name] == "LIF" else 1.0 / draft.dt
        draft = _with(
            draft, name, "its r is ignored", r=np.full(_field(draft, name, "r").shape, unit, np.float32)
        )
    return draft


def _from_reset(draft: Draft) -> Draft:
    """Membranes start from ``v_reset``: counted from there, they start from 0."""
    for name in draft.of(*FIRING):
        level, fields = _field(draft, name, "v_reset"), {}
        for field in ("v_leak", "v_threshold"):
            if field in draft.nodes[name].fields:
                fields[field] = (_field(draft, name, field) - level).astype(np.float32)
        said = "its membranes start from v_reset, and are counted from there"
        draft = _with(draft, name, said, v_reset=np.zeros_like(level), **fields)
    return draft


def _fires_at(draft: Draft) -> Draft:
    """Thresholds a last digit lower: ``v > before(t)`` is ``v >= t`` in single precision, in every case."""
    for name in draft.of(*FIRING):
        level = np.nextafter(_field(draft, name, "v_threshold").astype(np.float32), np.float32(-np.inf))
        draft = _with(draft, name, "", v_threshold=level)
    return (
        replace(draft, notes=(*draft.notes, "neurons fire at their threshold, too"))
        if draft.of(*FIRING)
        else draft
    )


def _late_neurons(draft: Draft) -> Draft:
    said = "r, v_leak, v_reset and w_in are ignored, resets are by subtraction, and spikes a step late"
    cells = draft.of(*FIRING)
    return replace(draft, notes=(*draft.notes, f"{', '.join(cells)}: {said}")) if cells else draft


def _channels_first(draft: Draft) -> Draft:
    """Columns of the products behind a Flatten in NIR's order, where they are written for channels last."""
    for name in draft.of("Flatten"):
        shape = tuple(int(size) for size in np.ravel(draft.nodes[name].fields.get("input_type", ())))
        if len(shape) < 3:
            continue
        order = np.moveaxis(np.arange(np.prod(shape)).reshape(shape), 0, -1).ravel()
        products = [layer for layer in draft.targets(name) if draft.types[layer] in ("Affine", "Linear")]
        for layer in products:  # before anything else, a sample has one order alone: others were refused
            weight = _field(draft, layer, "weight")
            columns = np.empty_like(weight)
            columns[:, order] = weight
            draft = _with(draft, layer, "its columns are read for channels last", weight=columns)
    return draft


def _without_loops(draft: Draft) -> tuple[Draft, dict[str, tuple[Node, str]]]:
    """The draft without products that a neuron hears itself by, and these, each with its neuron. What arrives
    at such a product from elsewhere arrives at the neuron, as Spyx writes it; its bias is not read."""
    loops: dict[str, tuple[Node, str]] = {}
    edges = draft.edges
    for layer in draft.of("Affine", "Linear"):
        cells = draft.targets(layer)
        if len(cells) != 1 or (cells[0], layer) not in edges or draft.types[cells[0]] not in FIRING:
            continue
        (cell,) = cells
        loops[layer] = Node("Linear", {"weight": draft.nodes[layer].fields["weight"]}), cell
        kept = [(a, cell if b == layer else b) for a, b in edges if layer != a and (a, b) != (cell, layer)]
        edges = tuple(dict.fromkeys(kept))
    nodes = {name: node for name, node in draft.nodes.items() if name not in loops}
    return replace(draft, nodes=nodes, edges=edges), loops


def _field(draft: Draft, name: str, field: str) -> Array:
    fields = draft.nodes[name].fields
    if field == "v_reset" and field not in fields:
        return np.zeros_like(np.asarray(fields["v_threshold"]))
    return np.asarray(fields[field])


def _with(draft: Draft, name: str, said: str, **fields: Array) -> Draft:
    """With these in the place of a node's fields, and a note where that changes anything."""
    node = draft.nodes[name]
    same = all(np.array_equal(_field(draft, name, field), value) for field, value in fields.items())
    if same:
        return draft
    return draft.put(name, Node(node.type, {**node.fields, **fields}), f"{name}: {said}" if said else "")


MEANT: Final[Mapping[str, tuple[Callable[[Draft], Draft], ...]]] = {
    "nir": (),
    "snntorch": (_reset_to_zero,),
    "norse": (_reset_to_zero, _without_gain),
    "spikingjelly": (_from_reset, _fires_at),
    "spyx": (_late_neurons, _channels_first),
}
"""Name of a dialect -> what it takes otherwise; a test compares its keys with those of the dialects."""
