"""Thresholds under which as many neurons fire as a case wants.

Networks of convolutions as torch initialises them are all but silent on such inputs, and trained ones
are not: without this, whoever skips zeros would be flattered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor, nn

from benchmarks.case import Case
from benchmarks.inputs import Data
from benchmarks.layers import Layer, Neuron

__all__ = ["activated"]

SAMPLES: Final = 4
STEPS: Final = 100
HALVINGS: Final = 12


def activated(case: Case, data: Data, weights: Mapping[str, Tensor]) -> tuple[Case, dict[str, Tensor]]:
    """The case, every layer's threshold chosen so that the case's share of its neurons fires at a step.

    Also the weights, with the running statistics of norms as they are on this input: evaluation is as active
    as training. Connections of neurons to each other are not looked at.
    """
    known = dict(weights)
    x = data.x.expand(case.steps, *data.x.shape) if case.static else data.x
    x = x[:STEPS, :SAMPLES]
    layers: list[tuple[str, Layer | Neuron]] = []
    for name, layer in case.net:
        if isinstance(layer, Layer):
            x = _folded(name, layer, x, known)
            layers.append((name, layer))
        else:
            threshold = _threshold(x, layer, case.activity)
            x = _spikes(x, layer.constant("beta"), threshold)
            layers.append((name, layer.replaced(threshold=threshold)))
    return replace(case, net=tuple(layers)), known


def _folded(name: str, layer: Layer, x: Tensor, weights: dict[str, Tensor]) -> Tensor:
    """A stateless layer over all steps at once; a norm's running statistics become those of its input."""
    made = layer.build(nn)
    made.load_state_dict({key: weights[f"{name}.{key}"] for key in made.state_dict()})
    if isinstance(made, nn.BatchNorm2d):
        made.momentum = 1.0
    with torch.no_grad():
        found: Tensor = made(x.flatten(0, 1))
    weights |= {f"{name}.{key}": value for key, value in made.state_dict().items()}
    return found.view(*x.shape[:2], *found.shape[1:])


def _threshold(x: Tensor, layer: Neuron, share: float) -> float:
    """By halving an interval: the higher it is, the fewer neurons fire."""
    low, high = 1e-3, 1e2
    for _ in range(HALVINGS):
        middle = (low * high) ** 0.5
        fired = float(_spikes(x, layer.constant("beta"), middle).mean())
        low, high = (middle, high) if fired > share else (low, middle)
    return high


def _spikes(x: Tensor, beta: float, threshold: float) -> Tensor:
    """Leaky neurons over all steps."""
    mem = torch.zeros_like(x[0])
    found = []
    for step in x:
        mem = beta * mem + step - (mem > threshold) * threshold
        found.append(mem > threshold)
    return torch.stack(found).to(x.dtype)
