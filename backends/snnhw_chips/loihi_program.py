"""Loihi's integers as a program, and as arrays for lava's constructors."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import numpy as np

from snnhw.ir import (
    Edge,
    Fixed,
    FrozenMap,
    Linear,
    Neuron,
    NeuronModel,
    Output,
    Param,
    Params,
    Pointwise,
    Program,
    maximum,
    minimum,
    model,
    toward_zero,
    variables,
    where,
)
from snnhw.target import Array, ChipNetwork
from snnhw_chips.arriving import arriving

__all__ = ["HALF", "cells", "integer_program", "vendor_arrays"]

HALF: Final = 2**23
"""Beyond it a current wraps, and up to it a membrane is clipped."""

Cells = Mapping[str, Mapping[str, Array]]

u, v, x, du, dv, vth, bias, up, down = variables("u v x du dv vth bias up down")


@lru_cache
def cells() -> NeuronModel:
    """LIF of lava's fixed-point models; ``x`` is the sum of its projections."""
    current = toward_zero(u * (4096.0 - (du + 1.0)), 4096.0) + 64.0 * x
    wrapped = where(
        current > HALF, current - 2.0 * HALF, where(current > -HALF, current, current + 2.0 * HALF)
    )
    kept = toward_zero(v * (4096.0 - dv), 4096.0) + wrapped + bias
    return model(
        "LoihiLIF",
        states="u v",
        params=(Param("du"), Param("dv"), Param("vth"), Param("bias", 0.0)),
        integrate={"u": wrapped, "v": minimum(maximum(kept, 1.0 - HALF), HALF - 1.0)},
        fire=v - 64.0 * vth,
        membrane="v",
    )


FORMATS: Final = {
    "u": Fixed(25),  # of 24 bits, and 2^23 itself
    "v": Fixed(24),
    "du": Fixed(12, signed=False),
    "dv": Fixed(12, signed=False),
    "vth": Fixed(17, signed=False),
    "bias": Fixed(20),
}


def integer_program(
    network: ChipNetwork, weights: Mapping[str, Array], made: Cells, exponents: Mapping[str, int]
) -> tuple[Program, Params]:
    """The network in integers: ports of a population ``name.spk``, ``name.u``, ``name.v``.

    Args:
        weights: projection -> integers ``[target, source]``.
        made: population -> ``du dv vth bias``, ``[N]`` each.
        exponents: projection -> by how many bits its sums are shifted to the left, or below 0 to the right.
    """
    nodes, edges, sources = arriving(network)
    formats = {f"{name}.y": Fixed(1, signed=False) for name in network.inputs}
    params: Params = {}
    for name, values in made.items():
        kept = {key: values[key] for key in ("du", "dv", "vth", "bias")}
        shapes = FrozenMap({key: x.shape for key, x in kept.items()})
        nodes[name] = Neuron(cells(), reset="zero", timing="immediate", surrogate=None, param_shapes=shapes)
        params |= {f"{name}.{key}": np.asarray(x, np.int64) for key, x in kept.items()}
        formats |= {f"{name}.{key}": FORMATS[key] for key in (*kept, "u", "v")}
    for each in network.projections:
        shift = exponents[each.name]
        nodes[each.name] = Linear(network.width(each.source), network.width(each.target), bias=False)
        nodes[f"{each.name}_shifted"] = _shifted(shift)
        params[f"{each.name}.weight"] = np.asarray(weights[each.name], np.int64)
        formats[f"{each.name}.weight"] = Fixed(9)
        edges += [
            Edge(sources.get(each.source, f"{each.source}.spk"), f"{each.name}.x", each.delay),
            Edge(f"{each.name}.y", f"{each.name}_shifted.x"),
            Edge(f"{each.name}_shifted.y", f"{each.target}.x"),
        ]
    for name, source in network.outputs.items():
        nodes[name] = Output()
        edges.append(Edge(f"{source}.spk", f"{name}.x"))
    return Program(FrozenMap(nodes), tuple(edges), formats=FrozenMap(formats)), params


def _shifted(exponent: int) -> Pointwise:
    """``x << exponent``, or the floor of ``x >> -exponent``."""
    y = x * 2.0**exponent if exponent >= 0 else x // 2.0**-exponent
    return Pointwise(FrozenMap({"y": y}))


def vendor_arrays(
    network: ChipNetwork, weights: Mapping[str, Array], made: Cells, exponents: Mapping[str, int]
) -> dict[str, Array]:
    """Name -> array, for the worker: ``PROJECTION/weight`` with ``/from`` and ``/to``, ``POPULATION/du``."""
    found: dict[str, Array] = {"inputs": np.array(list(network.inputs)), "populations": np.array(list(made))}
    found["projections"] = np.array([each.name for each in network.projections])
    found["outputs"] = np.array([[name, source] for name, source in network.outputs.items()])
    for each in network.projections:
        found[f"{each.name}/weight"] = np.asarray(weights[each.name], np.int64)
        found[f"{each.name}/exponent"] = np.asarray(exponents[each.name], np.int64)
        found |= {f"{each.name}/from": np.array(each.source), f"{each.name}/to": np.array(each.target)}
    for name, values in made.items():
        found |= {f"{name}/{key}": np.asarray(values[key], np.int64) for key in ("du", "dv", "vth")}
        found |= {f"{name}/bias_{key}": x for key, x in _mantissa(values["bias"]).items()}
    return found


def _mantissa(values: Any) -> dict[str, Array]:
    """13 bits and one exponent that say the same."""
    exponent, whole = 0, np.asarray(values, np.int64)
    while np.abs(whole).max(initial=0) > 4095 and not np.any(whole & 1):
        exponent, whole = exponent + 1, whole >> 1
    return {"mant": whole, "exp": np.array(exponent)}
