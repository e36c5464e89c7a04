"""What a neuron multiplies its input by, as part of the weights that the input comes from.

With ``r = 1`` and weights times ``r`` the equations say the same. In floating point they give the same bits
where ``r`` is a power of two, and elsewhere round in another place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

import numpy as np

from snnhw_nir.graph import Array, Graph, Node
from snnhw_nir.wires import inlined

__all__ = ["GAINS", "gained", "scaled", "takes"]

GAINS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("I", "IF", "LI", "LIF"), "r"),
    **dict.fromkeys(("CubaLI", "CubaLIF"), "w_in"),
}
"""Type of neuron -> the field that multiplies what arrives."""

WEIGHTED: Final = ("Affine", "Linear", "Conv1d", "Conv2d")


def takes(node: object, gain: Array) -> bool:
    """Whether a node has weights that can take in the gain of what it feeds: one for each of its rows."""
    if not isinstance(node, Node) or node.type not in WEIGHTED:
        return False
    weight, rows = np.asarray(node.fields["weight"]), _rows(gain)
    if weight.ndim < 2 or len(rows) not in (1, len(weight)):
        return False
    bias = np.shape(node.fields.get("bias", np.zeros(len(weight))))
    return bias == (len(weight),) and bool((rows == rows[:, :1]).all())


def scaled(node: Node, gain: Array) -> Node:
    """The node with weights, and bias, times a gain that it `takes`."""
    rows = _rows(gain)[:, 0]
    weight = np.asarray(node.fields["weight"])
    fields = {"weight": _rounded(weight, rows.reshape(-1, *[1] * (weight.ndim - 1)))}
    if "bias" in node.fields:
        fields["bias"] = _rounded(np.asarray(node.fields["bias"]), rows)
    return Node(node.type, {**node.fields, **fields})


def gained(graph: Graph) -> tuple[Graph, list[str]]:
    """The same computation with every gain in the weights before it, as far as it can be; and what a
    reader of the report has to know of it.

    A neuron keeps its gain where anything else than a layer with weights feeds it, or such a layer feeds
    another node, too.
    """
    flat, notes = inlined(graph), []
    nodes = {name: node for name, node in flat.nodes.items() if isinstance(node, Node)}  # all of them, by now
    before: dict[str, list[str]] = {name: [] for name in nodes}
    for source, target in flat.edges:
        before[target].append(source)
    readers = Counter(source for source, _ in flat.edges)
    for name, node in flat.nodes.items():
        assert isinstance(node, Node)
        field = GAINS.get(node.type, "")
        gain = np.asarray(node.fields.get(field, 1.0))
        if gain.size == 0 or bool((gain == 1).all()) or not before[name]:
            continue
        layers = {source: nodes[source] for source in before[name]}
        changed, why = _taken_in(layers, readers, gain)
        if why:
            notes.append(f"{name}: its gain {field} stays with it: {why}")
            continue
        nodes |= changed | {name: Node(node.type, {**node.fields, field: np.ones_like(gain)})}
        if not all(_exactly(layers[each], changed[each], gain) for each in layers):
            where = ", ".join(layers)
            notes.append(f"{name}: its gain {field} is part of the weights of {where}, rounded there")
    return Graph(nodes, flat.edges, flat.metadata), notes


def _taken_in(
    layers: Mapping[str, Node], readers: Mapping[str, int], gain: Array
) -> tuple[dict[str, Node], str]:
    """The layers with the gain in their weights; or why that cannot be."""
    left = sorted(each for each in layers if readers[each] != 1 or not takes(layers[each], gain))
    if left:
        return {}, f"{', '.join(left)} cannot take it in"
    changed = {each: scaled(layer, gain) for each, layer in layers.items()}
    finite = all(np.isfinite(_weights(layer)).all() for layer in changed.values())
    return changed, "" if finite else "times it, weights are not finite"


def _exactly(was: Node, now: Node, gain: Array) -> bool:
    """Whether the gain commutes with every rounding, and what it multiplied comes back."""
    mantissa, _ = np.frexp(np.abs(gain.astype(np.float64)))
    return bool((mantissa == 0.5).all()) and bool((_weights(scaled(now, 1.0 / gain)) == _weights(was)).all())


def _weights(node: Node) -> Array:
    return np.concatenate([np.ravel(node.fields[name]) for name in ("weight", "bias") if name in node.fields])


def _rows(gain: Array) -> Array:
    return gain.reshape(gain.shape[0] if gain.ndim else 1, -1)


def _rounded(array: Array, rows: Array) -> Array:
    dtype = array.dtype if array.dtype.kind == "f" else np.dtype(np.float32)  # whole numbers may be weights
    with np.errstate(over="ignore"):  # judged by the caller
        return np.asarray((array * rows).astype(dtype))
