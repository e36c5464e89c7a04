"""Thresholds under which as few neurons fire as a case wants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.inputs import Data
from benchmarks.layers import Layer, Neuron
from benchmarks.workloads import Case

__all__ = ["quieted"]

SAMPLES: Final = 4
HALVINGS: Final = 12


def quieted(case: Case, data: Data, weights: Mapping[str, Tensor]) -> Case:
    """The case, every layer's threshold chosen so that its neurons fire at the case's density."""
    x, layers = data.x[:, :SAMPLES], list[tuple[str, Layer | Neuron]]()
    for name, layer in case.net:
        if isinstance(layer, Layer):
            x = F.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])
            layers.append((name, layer))
        else:
            threshold = _threshold(x, layer, case.density)
            x = _spikes(x, layer.constant("beta"), threshold)
            layers.append((name, layer.replaced(threshold=threshold)))
    return replace(case, net=tuple(layers))


def _threshold(x: Tensor, layer: Neuron, density: float) -> float:
    """By halving an interval: the higher it is, the fewer neurons fire."""
    low, high = 1e-3, 1e2
    for _ in range(HALVINGS):
        middle = (low * high) ** 0.5
        fired = float(_spikes(x, layer.constant("beta"), middle).mean())
        low, high = (middle, high) if fired > density else (low, middle)
    return high


def _spikes(x: Tensor, beta: float, threshold: float) -> Tensor:
    """Leaky neurons over all steps."""
    mem = torch.zeros_like(x[0])
    found = []
    for step in x:
        mem = beta * mem + step - (mem > threshold) * threshold
        found.append(mem > threshold)
    return torch.stack(found).to(x.dtype)
