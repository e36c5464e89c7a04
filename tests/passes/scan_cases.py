"""Models for the tests of the scan: as equations, and by hand as torch would write them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from snnhw.ir import MODELS, Neuron, Param, StepEquations, expr, model, variables
from snnhw.tensors.autograd import Function

Tensors = Mapping[str, Tensor]
StepFunction = Callable[[Tensor, Tensors, Tensors], tuple[Tensors, Tensors]]
"""``(x, states, params) -> (outputs, next states)``."""


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


@dataclass(frozen=True)
class Case:
    """One step, the same by hand, and parameters that make it spike now and then."""

    name: str
    step: StepEquations
    by_hand: StepFunction
    params: dict[str, float]
    states: tuple[str, ...] = ("mem",)
    outputs: tuple[str, ...] = ("spk", "mem")

    def __str__(self) -> str:
        return self.name


# -- Leaky, under every reset and timing ------------------------------------------------------------


def leaky_by_hand(reset: str, timing: str) -> StepFunction:
    def step(x: Tensor, states: Tensors, params: Tensors) -> tuple[Tensors, Tensors]:
        before, theta = states["mem"], params["threshold"]
        decay = params["beta"].clamp(0.0, 1.0)
        flag = (before > theta).to(x.dtype).detach()
        if timing == "immediate" or reset == "none":
            mem = decay * before + x
        elif reset == "zero":
            mem = decay * ((1 - flag) * before) + x
        else:
            mem = decay * before + x - flag * theta
        spk = fire(mem - theta)
        wiped = {"none": torch.zeros_like(mem), "zero": mem, "subtract": theta}[reset]
        if timing == "retest":
            mem = mem - (spk - flag) * wiped
        elif timing == "immediate":
            mem = mem - spk * wiped
        return {"spk": spk, "mem": mem}, {"mem": mem}

    return step


LEAKY = [
    Case(
        f"leaky-{reset}-{timing}",
        Neuron(MODELS["Leaky"], reset=reset, timing=timing).equations(),
        leaky_by_hand(reset, timing),
        {"beta": 0.8, "threshold": 0.9},
    )
    for reset in ("subtract", "zero", "none")
    for timing in ("delayed", "retest", "immediate")
]


# -- models of every other shape --------------------------------------------------------------------

mem, syn, spk, x, a, b, v, theta = variables("mem syn spk x a b v theta")

CURRENT = model(
    "Current",  # two states, of which one is never reset
    states="syn mem",
    params=(Param("a"), Param("b"), Param("theta")),
    integrate={"syn": a * syn + x, "mem": b * mem + (a * syn + x)},
    fire=mem - theta,
    threshold="theta",
)


def current_by_hand(x: Tensor, states: Tensors, params: Tensors) -> tuple[Tensors, Tensors]:
    flag = (states["mem"] > params["theta"]).to(x.dtype).detach()
    syn = params["a"] * states["syn"] + x
    mem = params["b"] * states["mem"] + syn - flag * params["theta"]
    return {"spk": fire(mem - params["theta"]), "syn": syn, "mem": mem}, {"syn": syn, "mem": mem}


tau = expr.log(a) / (expr.log(b) - expr.log(a)) + 1.0

PRELUDE = model(
    "Prelude",  # its equations compute with parameters alone
    states="mem",
    params=(Param("a"), Param("b"), Param("theta")),
    integrate={"mem": (b * b) * mem + tau * x},
    fire=mem - theta,
    threshold="theta",
)


def prelude_by_hand(x: Tensor, states: Tensors, params: Tensors) -> tuple[Tensors, Tensors]:
    flag = (states["mem"] > params["theta"]).to(x.dtype).detach()
    log_a, log_b = params["a"].log(), params["b"].log()
    mem = params["b"] ** 2 * states["mem"] + (log_a / (log_b - log_a) + 1) * x
    mem = mem - flag * params["theta"]
    return {"spk": fire(mem - params["theta"]), "mem": mem}, {"mem": mem}


OWN_SPIKES = model(
    "OwnSpikes",  # it hears its own last spike, through which a gradient flows
    states="spk mem",
    params=(Param("b"), Param("v"), Param("theta")),
    integrate={"mem": b * mem + x + v * spk},
    fire=mem - theta,
    threshold="theta",
    reset="zero",
)


def own_spikes_by_hand(x: Tensor, states: Tensors, params: Tensors) -> tuple[Tensors, Tensors]:
    flag = (states["mem"] > params["theta"]).to(x.dtype).detach()
    mem = (1 - flag) * (params["b"] * states["mem"] + x + params["v"] * states["spk"])
    spk = fire(mem - params["theta"])
    return {"spk": spk, "mem": mem}, {"spk": spk, "mem": mem}


OTHERS = [
    Case(
        "two-states",
        Neuron(CURRENT).equations(),
        current_by_hand,
        {"a": 0.6, "b": 0.7, "theta": 1.1},
        states=("syn", "mem"),
        outputs=("spk", "syn", "mem"),
    ),
    Case("prelude", Neuron(PRELUDE).equations(), prelude_by_hand, {"a": 0.8, "b": 0.9, "theta": 0.5}),
    Case(
        "own-spikes",
        Neuron(OWN_SPIKES, reset="zero").equations(),
        own_spikes_by_hand,
        {"b": 0.7, "v": 0.4, "theta": 0.8},
        states=("spk", "mem"),
    ),
]

CASES = [*LEAKY, *OTHERS]


@dataclass
class Loop:
    """What a loop by hand over all steps gives: outputs ``[T, N]``, final states, gradients by name."""

    outputs: dict[str, Tensor]
    ends: dict[str, Tensor]
    grads: dict[str, Tensor] = field(default_factory=dict)


def by_hand(case: Case, xs: Tensor, given: Tensors, *, steps: int, seeds: Tensors, ends: Tensors) -> Loop:
    """Run step by step, and pull ``sum(seed * output) + sum(end * final state)`` back with autograd.

    Args:
        xs: ``[T, N]``, or ``[N]`` for the same at every step.
        given: parameters and initial states.
    """
    leaves = {"x": xs, **given}
    leaves = {name: leaf.clone().requires_grad_() for name, leaf in leaves.items()}
    states = {name: leaves[name] for name in case.states}
    found: dict[str, list[Tensor]] = {port: [] for port in case.outputs}
    for t in range(steps):
        outputs, states = case.by_hand(leaves["x"][t] if xs.ndim == 2 else leaves["x"], states, leaves)  # type: ignore[assignment]  # a new dict each step
        for port in case.outputs:
            found[port].append(outputs[port])
    stacked = {port: torch.stack(values) for port, values in found.items()}
    parts = [(seeds[port] * stacked[port]).sum() for port in seeds]
    parts += [(ends[name] * states[name]).sum() for name in ends]
    torch.stack(parts).sum().backward()
    grads = {
        name: torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for name, leaf in leaves.items()
    }
    return Loop(stacked, dict(states), grads)
