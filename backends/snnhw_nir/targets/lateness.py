"""Readers whose neurons give their spikes a step late, for each layer of them.

A layer behind such neurons hears their first spikes a step too late, but its bias from the first step on:
once too often. So a bias between layers of neurons becomes the weights of one more neuron in the layer
before, the last, which fires at every step from when the others can.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np

from snnhw.ir import Program
from snnhw_nir.graph import Array, Node
from snnhw_nir.targets.dialects import Dialect
from snnhw_nir.targets.draft import Draft

__all__ = ["early_biases", "layers_before", "with_late_biases"]

FIRING = ("IF", "LIF", "CubaLIF")

DRIVE = 3.0
"""What arrives at that neuron at every step; its threshold is 1, and it keeps nothing, or all."""


def with_late_biases(draft: Draft, dialect: Dialect) -> Draft:
    """Without biases between layers of neurons, where they are dense; from the last to the first, since the
    neuron that stands for one may need another before it."""
    if not dialect.late:
        return draft
    for layer, _ in reversed(list(early_biases(draft, dialect))):
        if made := _moved(draft, layer):
            note = f"{layer}: its bias is the weights of one more neuron before it, so as not to be early"
            draft = made.put(layer, made.nodes[layer], note)
    return draft


def early_biases(draft: Draft, dialect: Dialect) -> Iterator[tuple[str, str]]:
    """The layers whose bias arrives too early, each with the neurons that hear it first."""
    if not dialect.late:
        return
    for layer in draft.of("Affine", "Conv2d"):
        before, behind = (_neuron(draft, layer, back=back) for back in (True, False))
        if before and behind and np.any(np.asarray(draft.nodes[layer].fields["bias"]) != 0):
            yield layer, behind


def layers_before(program: Program, names: Collection[str]) -> dict[str, int]:
    """Neuron -> how many others a spike passes on its way from the input, of nodes in a row."""
    return {name: place for place, name in enumerate(name for name in program.nodes if name in names)}


def _neuron(draft: Draft, layer: str, *, back: bool) -> str:
    """The nearest neurons before or behind a layer, of nodes in a row."""
    seen = {layer}
    while True:
        found = draft.sources(layer) if back else draft.targets(layer)
        if len(found) != 1 or found[0] in seen:
            return ""
        (layer,) = found
        seen.add(layer)
        if draft.types[layer] in FIRING:
            return layer


def _moved(draft: Draft, layer: str) -> Draft | None:
    (cell,) = draft.sources(layer)
    drivers = draft.sources(cell)
    if draft.types[cell] not in FIRING or draft.types[layer] != "Affine" or len(drivers) != 1:
        return None
    driver = draft.nodes[drivers[0]]
    if driver.type not in ("Affine", "Linear") or len(draft.arriving[cell]) != 1:
        return None
    fields = draft.nodes[layer].fields
    columns = np.concatenate([fields["weight"], np.asarray(fields["bias"])[:, None]], axis=1)
    weight = np.asarray(driver.fields["weight"])
    bias = np.asarray(driver.fields.get("bias", np.zeros(len(weight), weight.dtype)))
    wider = {
        "weight": np.concatenate([weight, np.zeros_like(weight[:1])]),
        "bias": np.append(bias, np.asarray(DRIVE, bias.dtype)),
    }
    size = len(weight) + 1
    made = draft.put(layer, Node("Linear", {"weight": columns})).put(drivers[0], Node("Affine", wider))
    made = made.put(cell, _with_one_more(draft.nodes[cell], draft.dt))
    return made.with_shapes({cell: (size,), layer: (size,)})


def _with_one_more(node: Node, dt: float) -> Node:
    """The layer with a neuron that keeps nothing of what it was; an IF has no such, and counts."""
    last = {"tau": dt, "tau_syn": dt, "tau_mem": dt, "r": 1.0 / dt if node.type == "IF" else 1.0, "w_in": 1.0}
    last |= {"v_threshold": 1.0, "v_leak": 0.0, "v_reset": 0.0}
    fields: dict[str, Array] = {}
    for name, value in node.fields.items():
        array = np.asarray(value)
        fields[name] = np.append(array, np.asarray(last[name], array.dtype))
    return Node(node.type, fields)
