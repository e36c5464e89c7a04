"""Neurons as loops in plain torch, and what runs them here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from snnhw.ir import MODELS, Neuron
from snnhw.tensors.autograd import Function
from snnhw.tensors.scans.eager import EagerProvider
from snnhw.tensors.scans.installed import provider_for
from snnhw.tensors.scans.provider import Provider

Tensors = dict[str, Tensor]
Found = tuple[Tensors, Tensors]
Loop = Callable[[Tensors, Tensors, Tensors, int], Found]
"""``(inputs, params, states, steps) -> (ports [T, B, ...], final states)``."""

EAGER: Provider = EagerProvider()
PROVIDERS: dict[str, Provider] = {"eager": EAGER, "installed": provider_for("cpu")}
both_providers = pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)
"""For what a provider decides; its kernels are compared with the equations in tests/kernels."""


class Spike(Function):
    """1 where z > 0, with the slope of `snnhw.ir.ATan` of alpha 2."""

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        ctx.save_for_backward(z)
        return (z > 0).to(z.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (z,) = ctx.saved_tensors
        slope: Tensor = 1 / (1 + (math.pi * z) ** 2)
        return grads[0] * slope


def fire(z: Tensor) -> Tensor:
    spikes: Tensor = Spike.apply(z)
    return spikes


def decay(beta: Tensor) -> Tensor:
    """Between 0 and 1, with a slope of 1 at both, which torch's `clamp` has before release 2.14 only."""
    return torch.where((beta >= 0) & (beta <= 1), beta, beta.detach().clamp(0.0, 1.0))


def leaky(**settings: Any) -> Neuron:
    return Neuron(MODELS["Leaky"], **settings)


def leaky_loop(reset: str = "subtract", timing: str = "delayed", quantised: bool = False) -> Loop:
    """Leaky under one reset and timing."""

    def run(inputs: Tensors, params: Tensors, states: Tensors, steps: int) -> Found:
        x, theta = inputs["x"], params["threshold"]
        mem = states["mem"]
        found: dict[str, list[Tensor]] = {"spk": [], "mem": []}
        for t in range(steps):
            flag = (mem > theta).to(x.dtype).detach() if timing != "immediate" else 0.0
            old = (1 - flag) * mem if reset == "zero" else mem
            mem = decay(params["beta"]) * old + (x[t] if x.ndim > mem.ndim else x)
            mem = mem - flag * theta if reset == "subtract" else mem
            mem = _nearest(mem, params["levels"]) if quantised else mem
            spk = fire(mem - theta)
            if timing != "delayed" and reset != "none":
                mem = mem - (spk - flag) * (theta if reset == "subtract" else mem)
            found["spk"].append(spk * params.get("graded_spikes_factor", 1.0))
            found["mem"].append(mem)
        return {port: torch.stack(values) for port, values in found.items()}, {"mem": mem}

    return run


def synaptic_loop(inputs: Tensors, params: Tensors, states: Tensors, steps: int) -> Found:
    """Synaptic, its reset subtracting."""
    x, theta = inputs["x"], params["threshold"]
    syn, mem = states["syn"], states["mem"]
    found: dict[str, list[Tensor]] = {"spk": [], "syn": [], "mem": []}
    for t in range(steps):
        flag = (mem > theta).to(x.dtype).detach()
        syn = decay(params["alpha"]) * syn + x[t]
        mem = decay(params["beta"]) * mem + syn - flag * theta
        for port, value in (("spk", fire(mem - theta)), ("syn", syn), ("mem", mem)):
            found[port].append(value)
    return {port: torch.stack(values) for port, values in found.items()}, {"syn": syn, "mem": mem}


def _nearest(x: Tensor, levels: Tensor) -> Tensor:
    inside = x.detach().clamp(levels.min(), levels.max())
    index = (inside.unsqueeze(-1) - levels).abs().argmin(-1)
    return x + (levels[index] - x).detach()


def leaves(tensors: Mapping[str, Tensor]) -> Tensors:
    """Copies that gradients are asked of; tables of levels take none."""
    return {name: x.clone().requires_grad_(name != "levels") for name, x in tensors.items()}


def pulled(found: Found, seeds: Mapping[str, Tensor], of: Mapping[str, Tensor]) -> Tensors:
    """Gradients of ``sum(seed * output)`` over ports and final states (``"end of ..."``)."""
    ports, ends = found
    values = {**ports, **{f"end of {name}": x for name, x in ends.items()}}
    total = torch.stack([(values[name] * seed).sum() for name, seed in seeds.items()]).sum()
    asked = {name: x for name, x in of.items() if x.requires_grad}
    grads = torch.autograd.grad(total, list(asked.values()), allow_unused=True)
    return {
        name: torch.zeros_like(x) if grad is None else grad
        for (name, x), grad in zip(asked.items(), grads, strict=True)
    }
