"""What readers lack, in words that they have: steps from one draft of a graph to the next.

Each keeps what is computed; where floating point may round in another place, a note says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from graphlib import TopologicalSorter
from typing import Final

import numpy as np

from snnhw_nir.graph import Node
from snnhw_nir.reading.gains import scaled, takes
from snnhw_nir.targets.dialects import TORCH, Dialect
from snnhw_nir.targets.draft import Draft, conv, times
from snnhw_nir.targets.lateness import with_late_biases
from snnhw_nir.targets.loops import out_of_turn, without_biases
from snnhw_nir.targets.orders import sorted_for_depth
from snnhw_nir.wires import unused
from snnhw_nir.writing.neurons import LONG

__all__ = ["STEPS"]


def _never_leaking(draft: Draft, dialect: Dialect) -> Draft:
    """A neuron that never leaks as one that takes so long that single precision does not notice."""
    if "IF" in dialect.nodes or "LIF" not in dialect.nodes:
        return draft
    for name in draft.of("IF"):
        fields = draft.nodes[name].fields
        r = np.asarray(fields["r"], np.float64)
        tau = np.full(r.shape, LONG * draft.dt, np.float32)
        leaks = {"tau": tau, "r": (r * draft.dt * LONG).astype(np.float32), "v_leak": np.zeros_like(tau)}
        draft = draft.put(name, Node("LIF", {**fields, **leaks}))
    return draft


def _pools(draft: Draft, dialect: Dialect) -> Draft:
    """A pool that the reader lacks as a convolution of equal weights."""
    for name in draft.of("AvgPool2d", "SumPool2d"):
        node, shape = draft.nodes[name], draft.arriving[name]
        kernel, stride, padding = (
            tuple(int(size) for size in np.asarray(node.fields[field]))
            for field in ("kernel_size", "stride", "padding")
        )
        read = node.type in dialect.nodes and not (node.type in dialect.unpadded and any(padding))
        if read or "Conv2d" not in dialect.nodes or len(shape) != 3:
            continue
        share = 1.0 if node.type == "SumPool2d" else 1.0 / (kernel[0] * kernel[1])
        channels = np.eye(shape[0], dtype=np.float32).reshape(shape[0], shape[0], 1, 1)
        weight = channels * np.full(kernel, share, np.float32)
        made = conv(shape, weight, np.zeros(shape[0], np.float32), stride, padding)
        draft = draft.put(name, made, f"{name}: a convolution of equal weights in the place of {node.type}")
    return draft


def _groups(draft: Draft, dialect: Dialect) -> Draft:
    """A convolution in groups as one of all channels, whose further weights are 0."""
    for name in draft.of("Conv1d", "Conv2d") if not dialect.groups else ():
        fields = draft.nodes[name].fields
        weight, groups = np.asarray(fields["weight"]), int(np.asarray(fields["groups"]))
        if groups == 1:
            continue
        rows, columns = weight.shape[0] // groups, weight.shape[1]
        whole = np.zeros((weight.shape[0], columns * groups, *weight.shape[2:]), weight.dtype)
        for group in range(groups):
            out = slice(group * rows, (group + 1) * rows)
            whole[out, group * columns : (group + 1) * columns] = weight[out]
        made = Node(draft.nodes[name].type, {**fields, "weight": whole, "groups": np.asarray(1)})
        draft = draft.put(name, made, f"{name}: with zeros in the place of its {groups} groups")
    return draft


def _scales(draft: Draft, dialect: Dialect) -> Draft:
    """A scale as a product with a diagonal."""
    for name in draft.of("Scale") if "Scale" not in dialect.nodes else ():
        made = times(np.asarray(draft.nodes[name].fields["scale"]), draft.arriving[name])
        draft = draft.put(name, made) if made else draft
    return draft


def _loops(draft: Draft, dialect: Dialect) -> Draft:
    return without_biases(draft) if dialect.loop == "current" else draft


def _longer_loops(draft: Draft, dialect: Dialect) -> Draft:
    """Products in a loop of two with another behind them that changes nothing, for readers that take such a
    loop for a layer of their own, and fail at it."""
    for name in draft.of("LIF", "CubaLIF") if not dialect.pairs else ():
        for layer in draft.of("Linear", "Affine"):
            way = times(np.ones((), np.float32), draft.arriving[name])
            if draft.sources(layer) == draft.targets(layer) == [name] and way:
                draft = draft.before(name, [layer], "loop", way)
    return draft


def _gains(draft: Draft, dialect: Dialect) -> Draft:
    """Every LIF with ``r = 1``: what it multiplied by goes into the weights before it."""
    for name in draft.of("LIF") if dialect.gain != "r" else ():
        node = draft.nodes[name]
        r = np.asarray(node.fields["r"])
        if r.size == 0 or bool((r == 1).all()):
            continue
        if dialect.gain == "r or weights" and _unit_gain(node, draft.dt):
            continue
        sources = draft.sources(name)
        able = [each for each in sources if len(draft.targets(each)) == 1 and takes(draft.nodes[each], r)]
        rest, way = [each for each in sources if each not in able], times(r, draft.arriving[name])
        if rest and way is None:
            continue
        draft = draft.put(name, Node("LIF", {**node.fields, "r": np.ones_like(r)}))
        for source in able:
            draft = draft.put(source, scaled(draft.nodes[source], r))
        if rest and way:
            draft = draft.before(name, rest, "gain", way)
    return draft


def _unit_gain(node: Node, dt: float) -> bool:
    """Whether an input of 1 adds 1 within a step."""
    r, tau = (np.asarray(node.fields[field], np.float64) for field in ("r", "tau"))
    return bool(np.allclose(r * dt / tau, 1.0, rtol=5e-7, atol=0.0))


def _joins(draft: Draft, dialect: Dialect) -> Draft:
    """Edges that meet at an Output, for readers that return each by itself: added up one node before."""
    for name in draft.of("Output") if not dialect.joins else ():
        way = times(np.ones((), np.float32), draft.arriving[name])
        if way and len(meeting := draft.sources(name)) > 1:
            draft = draft.before(name, meeting, "sum", way)
    return draft


def _ties(draft: Draft, dialect: Dialect) -> Draft:
    """Thresholds a last digit higher, for readers that fire at the threshold, too: ``v >= next(t)`` is
    ``v > t`` in single precision, in every case."""
    for name in draft.of("IF", "LIF", "CubaLIF") if dialect.ties == "fires" else ():
        fields = draft.nodes[name].fields
        level = np.nextafter(np.asarray(fields["v_threshold"], np.float32), np.float32(np.inf))
        draft = draft.put(name, Node(draft.nodes[name].type, {**fields, "v_threshold": level}))
    return draft


def _flattened_from_the_end(draft: Draft, dialect: Dialect) -> Draft:
    """Axes counted from the last, for readers that count the batch as one."""
    for name in draft.of("Flatten") if dialect.batch_counts else ():
        fields, axes = draft.nodes[name].fields, len(draft.arriving[name])
        ends = {
            field: np.asarray((int(np.asarray(fields[field])) % axes) - axes)
            for field in ("start_dim", "end_dim")
        }
        draft = draft.put(name, Node("Flatten", {**fields, **ends}))
    return draft


def _channels_last(draft: Draft, dialect: Dialect) -> Draft:
    """Columns of the products behind a Flatten in the order in which the reader flattens."""
    for name in draft.of("Flatten") if dialect.channels_last else ():
        shape = draft.arriving[name]
        if len(shape) < 3:
            continue
        order = np.moveaxis(np.arange(np.prod(shape)).reshape(shape), 0, -1).ravel()
        for layer in draft.targets(name):
            node = draft.nodes[layer]
            if node.type in ("Affine", "Linear"):
                weight = np.asarray(node.fields["weight"])[:, order]
                note = f"{layer}: its columns in the order in which '{dialect.name}' flattens, channels last"
                draft = draft.put(layer, Node(node.type, {**node.fields, "weight": weight}), note)
    return draft


def _names(draft: Draft, dialect: Dialect) -> Draft:
    """Names that the reader's modules can have: dots become underscores there, so that two might be one, and
    what torch calls its own is taken. Where nodes are computed by name, names are numbered if they must."""
    if dialect.dots:
        return draft
    names: dict[str, str] = {}
    if dialect.chains:  # it walks from the one to the other
        names = {name: kind.lower() for kind in ("Input", "Output") for name in draft.of(kind)[:1]}
    for name in (name for name in draft.nodes if name not in names):
        names[name] = unused(name.replace(".", "_"), TORCH | set(names.values()))
    plain = _renamed(draft, names)
    if dialect.order != "in turn" or plain.of("Delay") or not list(out_of_turn(plain, dialect)):
        return plain
    ahead = [edge for place, edge in enumerate(plain.edges) if place not in plain.late("current")]
    order = TopologicalSorter({name: {a for a, b in ahead if b == name} for name in plain.nodes})
    numbered = {name: f"n{place:04}_{name}" for place, name in enumerate(order.static_order())}
    other = _renamed(plain, numbered)
    if list(out_of_turn(other, dialect)):
        return plain
    said = f"nodes are numbered, since '{dialect.name}' computes those of a loop by name"
    return replace(other, notes=(*plain.notes, said))


def _renamed(draft: Draft, names: Mapping[str, str]) -> Draft:
    return replace(
        draft,
        nodes={names[name]: node for name, node in draft.nodes.items()},
        edges=tuple((names[a], names[b]) for a, b in draft.edges),
        arriving={names[name]: shape for name, shape in draft.arriving.items() if name in names},
        ports={port: names.get(name, name) for port, name in draft.ports.items()},
    )


def _edges_in_order(draft: Draft, dialect: Dialect) -> Draft:
    if dialect.order != "depth first":
        return draft
    return replace(draft, edges=sorted_for_depth(draft.types, draft.edges, draft.late("current")))


STEPS: Final[tuple[Callable[[Draft, Dialect], Draft], ...]] = (
    _never_leaking,
    _pools,
    _groups,
    _scales,
    _loops,
    _gains,
    _longer_loops,
    _joins,
    _ties,
    _flattened_from_the_end,
    _channels_last,
    with_late_biases,
    _names,
    _edges_in_order,
)
"""In this order: what one makes, a later one may have to put otherwise."""
