"""Programs and ops that several tests of the language share."""

from __future__ import annotations

from typing import Any

import msgspec

from snnhw.ir import (
    MODELS,
    ATan,
    Edge,
    FrozenMap,
    Input,
    Linear,
    Neuron,
    Op,
    Param,
    Pointwise,
    Program,
    TimeAxis,
    sequential,
    var,
)
from snnhw.ir.codec import from_json, to_json

LEAKY = MODELS["Leaky"]


def through(program: Program) -> Program:
    return from_json(msgspec.json.decode(msgspec.json.encode(to_json(program))))


def network() -> Program:
    layers: dict[str, Op] = {
        "input": Input((4,)),
        "fc": Linear(4, 4),
        "lif": Neuron(LEAKY, surrogate=ATan(3.0), param_shapes=FrozenMap({"beta": (4,)})),
        "gain": Pointwise(FrozenMap({"y": var("x") * var("g")}), parameters=(Param("g", 2.0),)),
    }
    chain = sequential(layers, time=TimeAxis(1e-3, ("input",)))
    return Program(chain.nodes, (*chain.edges, Edge("lif.spk", "lif.x", 1, 0.5)), chain.time, chain.trainable)


def pointwise(**outputs: Any) -> Pointwise:
    return Pointwise(FrozenMap(outputs))
