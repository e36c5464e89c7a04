"""Xylo's integers as a program, and as arrays for xylosim's constructor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from snnhw.ir import (
    Edge,
    Expr,
    Fixed,
    FrozenMap,
    Neuron,
    NeuronModel,
    Output,
    Param,
    Params,
    Program,
    SaturatingLinear,
    Shape,
    maximum,
    minimum,
    model,
    saturate,
    variables,
    where,
    wrap,
)
from snnhw.target import Array, ChipNetwork
from snnhw_chips.arriving import arriving

__all__ = ["BITS", "MOST", "Cells", "cells", "decay", "integer_program", "vendor_arrays"]

BITS: Final = 16
"""Of all states, thresholds and biases."""

MOST: Final = {"hidden": 31, "output": 1}
"""Spikes of a neuron in a step."""

i, v, x, left_syn, left_mem, bias, threshold, most = variables("i v x left_syn left_mem bias threshold most")


@dataclass(frozen=True, eq=False)
class Cells:
    """A population's constants, ``[N]`` each; weights of all that arrives, ``[N, sources]``, in the order in
    which the chip adds."""

    dash_syn: Array
    dash_mem: Array
    threshold: Array
    bias: Array
    weights: Mapping[str, Array]


def decay(state: Expr, divisor: Expr) -> Expr:
    """What a state loses: its floor by a power of two, and at least 1, so that it comes to rest."""
    lost = state // maximum(divisor, 1.0)
    return where(abs(lost) > 0.0, lost, where(state > 0.0, 1.0, 0.0))


@lru_cache
def cells() -> NeuronModel:
    """LIF of xylosim; ``x`` is the current with all spikes of the step added, which decays at once."""
    current = x - decay(x, left_syn)
    change = saturate(saturate(wrap(-decay(v, left_mem), BITS) + current, BITS) + bias, BITS)
    times = minimum(maximum(v // maximum(threshold, 1.0), 0.0), most)
    times = where(threshold > 0.0, times, most)
    return model(
        "XyloLIF",
        states="i v",
        params=tuple(map(Param, ("left_syn", "left_mem", "bias", "threshold", "most"))),
        integrate={"i": current, "v": saturate(v + change, BITS)},
        fire=where(threshold > v, 0.0, 1.0),
        count=times,
        membrane="v",
    )


FORMATS: Final = {
    "i": Fixed(BITS),
    "v": Fixed(BITS),
    "left_syn": Fixed(BITS, signed=False),
    "left_mem": Fixed(BITS, signed=False),
    "bias": Fixed(BITS),
    "threshold": Fixed(BITS),
    "most": Fixed(5, signed=False),
}


def integer_program(
    network: ChipNetwork, made: Mapping[str, Cells], outputs: Iterable[str], shift: int
) -> tuple[Program, Params]:
    """The network in integers: ports of a population ``name.spk``, ``name.i``, ``name.v``.

    Args:
        made: population -> its constants, in the order of the chip.
        outputs: those that are output neurons.
        shift: of all weights, to the left; what is beyond 16 bits is lost.
    """
    nodes, edges, sources = arriving(network)
    formats = {f"{name}.y": Fixed(4, signed=False) for name in network.inputs}
    params: Params = {}
    for name, own in made.items():
        ready = name in outputs
        kept = {
            "left_syn": 2**own.dash_syn,
            "left_mem": 2**own.dash_mem,
            "bias": own.bias,
            "threshold": own.threshold,
            "most": np.full_like(own.threshold, MOST["output" if ready else "hidden"]),
        }
        shapes: FrozenMap[str, Shape] = FrozenMap(dict.fromkeys(kept, (len(own.threshold),)))
        nodes[name] = Neuron(
            cells(), reset="subtract", timing="immediate", surrogate=None, param_shapes=shapes
        )
        params |= {f"{name}.{key}": np.asarray(value, np.int64) for key, value in kept.items()}
        formats |= {f"{name}.{key}": form for key, form in FORMATS.items()}
        reached, late = f"{name}.i", 1
        for source, weight in own.weights.items():  # in the order in which the chip adds
            node = f"{name}_from_{source}"
            nodes[node] = SaturatingLinear(network.width(source), len(own.threshold), BITS)
            params[f"{node}.weight"] = ((weight << shift) + 2**15) % 2**16 - 2**15
            formats[f"{node}.weight"] = Fixed(BITS)
            fired = source not in network.inputs
            edges += [
                Edge(f"{source}.spk" if fired else sources[source], f"{node}.x", int(fired)),
                Edge(reached, f"{node}.start", late),
            ]
            reached, late = f"{node}.y", 0
        edges.append(Edge(reached, f"{name}.x"))
    for name, source in network.outputs.items():
        nodes[name] = Output()
        edges.append(Edge(f"{source}.spk", f"{name}.x"))
    return Program(FrozenMap(nodes), tuple(edges), formats=FrozenMap(formats)), params


def vendor_arrays(
    network: ChipNetwork, made: Mapping[str, Cells], outputs: Iterable[str], shift: int
) -> dict[str, Array]:
    """Name -> array, for the worker: weights ``[source, target]``, and which neurons are whose."""
    ready = list(outputs)
    hidden = [name for name in made if name not in ready]
    found: dict[str, Array] = {"inputs": np.array(list(network.inputs)), "weight_shift": np.array(shift)}
    for kind, names, end in (("hidden", hidden, ""), ("output", ready, "_out")):
        found[kind] = np.array(names)
        found[f"{kind}_ends"] = np.cumsum([len(made[name].threshold) for name in names], dtype=np.int64)
        for key in ("dash_syn", "dash_mem", "threshold", "bias"):
            parts = [np.asarray(getattr(made[name], key), np.int64) for name in names]
            found[f"{key}{end}"] = np.concatenate(parts) if parts else np.zeros(0, np.int64)
    for key, rows, columns in (
        ("weight_in", list(network.inputs), hidden),
        ("weight_rec", hidden, hidden),
        ("weight_out", hidden, ready),
    ):
        blocks = [[_block(network, made, row, column) for column in columns] for row in rows]
        found[key] = np.block(blocks) if rows and columns else np.zeros((0, 0), np.int64)
    return found


def _block(network: ChipNetwork, made: Mapping[str, Cells], source: str, target: str) -> Array:
    weights = made[target].weights
    shape = (network.width(source), len(made[target].threshold))
    return weights[source].T if source in weights else np.zeros(shape, np.int64)
