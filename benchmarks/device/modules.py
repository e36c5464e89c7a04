"""Eager modules beside snnTorch's own on the same device: the same spikes, the same gradients."""

from __future__ import annotations

from importlib import import_module
from itertools import product
from typing import Any, Final

import torch
from torch import Tensor

import snnhw as snn
from benchmarks.place import Place

__all__ = ["MODULES", "compare"]

T, B, N = 25, 16, 300

SHORT: Final = 6
"""Steps of recurrent kinds, whose gradients grow with every step, and their rounding with them."""

KINDS: Final[dict[str, dict[str, Any]]] = {
    "Leaky": {"beta": 0.9},
    "Leaky-vector": {"beta": torch.linspace(0.3, 0.95, N), "learn_beta": True, "learn_threshold": True},
    "Synaptic": {"alpha": 0.8, "beta": 0.9},
    "Lapicque": {"beta": 0.8},
    "Alpha": {"alpha": 0.9, "beta": 0.6, "threshold": 0.2},
    "RLeaky": {"beta": 0.8, "linear_features": N},
    "RSynaptic": {"alpha": 0.7, "beta": 0.8, "linear_features": N},
}
"""Class, and behind a hyphen what is special -> what it is constructed with."""

RESETS: Final = ("subtract", "zero", "none")

MODULES: Final = {f"{kind} {reset}": (kind, reset) for kind, reset in product(KINDS, RESETS)}

CLOSE: Final = 1e-4
"""Relative distance of gradients, summed over steps and samples in two orders."""

ROUNDED: Final = {"RLeaky", "RSynaptic"}
"""Where sums in another order decide a spike now and then: fewer than `RARE` may differ."""

RARE: Final = 1e-3


def compare(name: str, place: Place) -> dict[str, object]:
    """One module under one reset: what differs, as a row."""
    kind, reset = MODULES[name]
    steps = SHORT if kind in ROUNDED else T
    x = torch.randn(steps, B, N, generator=torch.Generator().manual_seed(2)) * 0.6 + 0.2
    adjoint = torch.randn(steps, B, N, generator=torch.Generator().manual_seed(3))
    found = []
    for library in (snn, import_module("snntorch")):
        torch.manual_seed(0)
        made = getattr(library, kind.partition("-")[0])(**KINDS[kind], reset_mechanism=reset)
        found.append(_run(made.to(place.device), x.to(place.device), adjoint.to(place.device)))
    (spk, grads), (their_spk, their_grads) = found
    differing = int((spk != their_spk).sum())
    allowed = RARE * spk.numel() if kind in ROUNDED else 0
    distance = {key: _relative(grads[key], their_grads[key]) for key in their_grads if key in grads}
    worst = max(distance, key=distance.__getitem__)
    known = distance[worst] <= CLOSE or 0 < differing <= allowed  # a spike that differs is in all of them
    return {
        "name": name,
        "correct": differing <= allowed and known,
        "spikes": spk.numel(),
        "differing": differing,
        "gradient": distance[worst],
        "worst": worst,
        "activity": float(spk.mean()),
    }


def _run(module: Any, x: Tensor, adjoint: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Spikes, and gradients of the input and of all parameters."""
    x.requires_grad_()
    states = module.reset_mem()
    states = states if isinstance(states, tuple) else (states,)
    spikes = []
    for step in x:
        spk, *states = module(step, *states)
        spikes.append(spk)
    spk = torch.stack(spikes)
    spk.backward(adjoint)
    assert x.grad is not None
    grads = {name: param.grad for name, param in module.named_parameters() if param.grad is not None}
    return spk.detach(), {"input": x.grad, **grads}


def _relative(a: Tensor, b: Tensor) -> float:
    a, b = a.reshape(-1).double(), b.reshape(-1).double()
    return float((a - b).norm() / b.norm().clamp_min(1e-12))
