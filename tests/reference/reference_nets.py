"""Networks and arrays that several tests of the reference share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from snnhw.ir import (
    MODELS,
    CERate,
    FrozenMap,
    Input,
    Linear,
    Loss,
    Neuron,
    Op,
    Params,
    Program,
    Shape,
    Term,
    TimeAxis,
    init_params,
    sequential,
)

Array = npt.NDArray[Any]

LEAKY = MODELS["Leaky"]


def leaky(**settings: Any) -> Neuron:
    return Neuron(LEAKY, **settings)


def per_channel(shape: Shape) -> FrozenMap[str, Shape]:
    """Beta and threshold of a shape of their own."""
    return FrozenMap({"beta": shape, "threshold": shape})


def alone(neuron: Neuron, shape: Shape = (1,)) -> Program:
    """One layer of neurons, its input given directly."""
    return sequential({"x": Input(shape), "lif": neuron})


def two_layers(*, static: bool = False) -> Program:
    """Linear, Leaky, Linear, Leaky: 5 inputs, 7 hidden neurons, 3 classes."""
    layers: dict[str, Op] = {
        "x": Input((5,)),
        "fc1": Linear(5, 7),
        "lif1": leaky(),
        "fc2": Linear(7, 3),
        "lif2": leaky(param_shapes=per_channel((3,))),
    }
    return sequential(layers, time=TimeAxis(static_inputs=("x",) if static else ()))


def filled(program: Program, values: Mapping[str, Any], seed: int = 0) -> Params:
    """Float64 parameters: those given, by key or by the last part of it, and random weights."""
    params = {}
    fresh = np.random.default_rng(seed)
    for key, spec in program.params().items():
        value = values.get(key, values.get(key.rpartition(".")[2]))
        if value is None and spec.fan_in == 0:
            value = spec.default
        drawn = fresh.uniform(-1.0, 1.0, spec.shape) * 1.5 / max(spec.fan_in, 1) ** 0.5
        params[key] = drawn if value is None else np.broadcast_to(np.asarray(value, float), spec.shape).copy()
    return params


def rate_loss(port: str) -> Loss:
    return Loss((Term(CERate(), of=port),))


def signal(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).normal(0.4, 1.0, shape)


__all__ = [
    "LEAKY",
    "Array",
    "alone",
    "filled",
    "init_params",
    "leaky",
    "per_channel",
    "rate_loss",
    "signal",
    "two_layers",
]
