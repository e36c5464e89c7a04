"""Recurrence for readers that delay a cycle where it arrives at the neuron.

There, nothing of the loop is computed in the first step, whereas here, and in snnTorch, the layers of a loop
hear silence then, and give their biases. In every later step both are the same. So a bias that leads straight
to the neuron is taken out of the loop and added to another layer that feeds it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from snnhw_nir.graph import Array, Node
from snnhw_nir.targets.dialects import Dialect
from snnhw_nir.targets.draft import Draft, times
from snnhw_nir.targets.orders import ORDERS

__all__ = ["left_biases", "out_of_turn", "without_biases"]


def without_biases(draft: Draft) -> Draft:
    """With the biases of loops outside of them, as far as that can be."""
    for layer, neuron, direct in _biased(draft):
        moved = _moved(draft, layer, neuron) if direct else None
        draft = moved or draft
    return draft


def left_biases(draft: Draft, dialect: Dialect) -> Iterator[str]:
    """The layers in loops that still have one, where that matters."""
    if dialect.loop == "current":
        for layer, _, _ in _biased(draft):
            yield f"{layer}: its bias is in a loop, which gives nothing in the first step in '{dialect.name}'"


def out_of_turn(draft: Draft, dialect: Dialect) -> Iterator[str]:
    """Where the reader computes nodes in another order than the edges ask for."""
    if dialect.order == "any":
        return
    walk = ORDERS[dialect.order](draft.types, draft.edges)
    if walk is None:
        yield f"the graph: '{dialect.name}' finds no order to compute it in"
        return
    place = {name: number for number, name in enumerate(walk)}
    if lost := [name for name in draft.nodes if name not in place]:
        yield f"{', '.join(lost)}: '{dialect.name}' never computes this"
        return
    delayed = {number for number, (a, b) in enumerate(draft.edges) if place[a] >= place[b]}
    theirs, ours = ({draft.downstream(number)[0] for number in late} for late in (delayed, draft.late()))
    for number in sorted(theirs - ours):
        source, target = draft.edges[number]
        yield f"{target}: '{dialect.name}' computes it before {source}, which it hears: a step too late"
    for number in sorted(ours - theirs):
        source, target = draft.edges[number]
        yield f"{target}: '{dialect.name}' computes it after {source}, of which it hears the step before"
    if draft.types[walk[-1]] != "Output":
        yield f"{walk[-1]}: '{dialect.name}' computes it last, and returns it in the place of the Output"


def _biased(draft: Draft) -> Iterator[tuple[str, str, bool]]:
    """Layers in loops that give something in silence, the neuron behind each, and whether it is next."""
    for place in sorted(draft.late()):
        end, passed = draft.downstream(place)
        for layer in passed:
            bias = draft.nodes[layer].fields.get("bias")
            if bias is not None and np.any(np.asarray(bias) != 0):
                yield layer, draft.edges[end][1], layer == passed[-1]


def _moved(draft: Draft, layer: str, neuron: str) -> Draft | None:
    bias = np.asarray(draft.nodes[layer].fields["bias"])
    late = {draft.edges[draft.downstream(place)[0]] for place in draft.late()}
    others = [source for source in draft.sources(neuron) if (source, neuron) not in late]
    free = [source for source in others if _takes(draft, source, bias)]
    silent = draft.put(layer, _silent(draft.nodes[layer]))
    why = f"{layer}: its bias is part of {{}}, since this reader's loops give nothing in the first step"
    if free:
        node = draft.nodes[free[0]]
        added = np.asarray(node.fields.get("bias", np.zeros_like(bias))) + bias
        kind = "Affine" if node.type == "Linear" else node.type
        return silent.put(free[0], Node(kind, {**node.fields, "bias": added}), why.format(free[0]))
    way = times(np.ones((), np.float32), draft.arriving[neuron], bias)
    if not others or way is None:
        return None
    made = silent.before(neuron, others[:1], "bias", way)
    return replace(made, notes=(*made.notes, why.format("a layer of its own")))


def _takes(draft: Draft, name: str, bias: Array) -> bool:
    node = draft.nodes[name]
    weighted = node.type in ("Affine", "Linear", "Conv1d", "Conv2d")
    return weighted and len(draft.targets(name)) == 1 and len(node.fields["weight"]) == len(bias)


def _silent(node: Node) -> Node:
    """The layer without its bias."""
    if node.type == "Affine":
        return Node("Linear", {"weight": node.fields["weight"]})
    return Node(node.type, {**node.fields, "bias": np.zeros_like(np.asarray(node.fields["bias"]))})
