"""A dozen scans that between them use everything a kernel can hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from snnhw.ir import (
    MODELS,
    ATan,
    FastSigmoid,
    FrozenMap,
    Neuron,
    NeuronModel,
    Param,
    Pointwise,
    StepEquations,
    StraightThrough,
    expr,
    model,
    variables,
)
from snnhw.tensors.scans.provider import Provider
from snnhw.tensors.scans.scan import run_scan

BATCH, WIDTH = 3, 1100  # more than one block, and a ragged last one


def adaptive() -> NeuronModel:
    """A neuron whose threshold rises with every spike: two states, one of them fed by the other."""
    mem, rise, x, beta, threshold, step = variables("mem rise x beta threshold step")
    return model(
        "Adaptive",
        states="mem rise",
        params=(Param("beta", 0.9), Param("threshold", 1.0), Param("step", 0.25)),
        integrate={
            "mem": beta * mem + x,
            "rise": 0.875 * rise + step * expr.where(mem > threshold, 1.0, 0.0),
        },
        fire=mem - (threshold + rise),
    )


@dataclass(frozen=True)
class Pooled:
    """One scan: the step, and how it is used."""

    step: StepEquations
    params: dict[str, float | str]
    """Parameter -> value, or ``neuron`` for one value per neuron."""
    outputs: tuple[str, ...] = ("spk",)
    static: frozenset[str] = frozenset()
    train: frozenset[str] = frozenset()
    tables: dict[str, Sequence[float]] = field(default_factory=dict)


def _neuron(name: str, **options: object) -> StepEquations:
    return Neuron(MODELS[name], **options).equations()  # type: ignore[arg-type]  # options of any kind


ACTIVATIONS = Pointwise(
    FrozenMap(
        {
            "y": expr.sigmoid(expr.var("x")) + expr.tanh(expr.var("x")) * expr.exp(-abs(expr.var("x"))),
            "z": expr.log(1.0 + abs(expr.var("x"))) / expr.sqrt(2.0 + expr.atan(expr.var("x"))),
            "w": expr.maximum(expr.minimum(expr.var("x"), 0.5), -0.5),
        }
    )
)

X = frozenset({"x"})
POOL: dict[str, Pooled] = {
    "leaky": Pooled(
        _neuron("Leaky"), {"beta": 0.9, "threshold": 1.0}, train=frozenset({"beta", "threshold"})
    ),
    "leaky-static": Pooled(_neuron("Leaky", reset="zero"), {"beta": 0.9, "threshold": 0.5}, static=X),
    "leaky-per-neuron": Pooled(
        _neuron("Leaky", surrogate=FastSigmoid(4.0)),
        {"beta": "neuron", "threshold": "neuron"},
        outputs=("spk", "mem"),
        train=frozenset({"beta", "threshold"}),
    ),
    "leaky-retest-graded": Pooled(
        _neuron("Leaky", timing="retest", graded=True, surrogate=StraightThrough()),
        {"beta": 0.75, "threshold": 1.0, "graded_spikes_factor": 1.5},
        train=frozenset({"graded_spikes_factor"}),
    ),
    "leaky-immediate-zero": Pooled(
        _neuron("Leaky", timing="immediate", reset="zero"), {"beta": 0.9, "threshold": 1.0}, outputs=("mem",)
    ),
    "leaky-quantised": Pooled(
        _neuron("Leaky", quantised=True),
        {"beta": 0.9, "threshold": 1.0},
        tables={"levels": [-1.0, -0.5, 0.0, 0.5, 1.0, 1.5]},
    ),
    "synaptic": Pooled(
        _neuron("Synaptic", surrogate=ATan(3.0)),
        {"alpha": 0.8, "beta": "neuron", "threshold": 1.0},
        outputs=("spk", "syn"),
        train=frozenset({"alpha", "beta"}),
    ),
    "synaptic-fixed": Pooled(_neuron("Synaptic"), {"alpha": 0.8, "beta": 0.9, "threshold": 1.0}),
    "linear": Pooled(_neuron("Leaky", reset="none"), {"beta": 0.9, "threshold": 1.0}, outputs=("mem",)),
    "adaptive": Pooled(
        Neuron(adaptive()).equations(),
        {"beta": 0.9, "threshold": 1.0, "step": "neuron"},
        train=frozenset({"step"}),
    ),
    "pointwise": Pooled(ACTIVATIONS.equations(), {}, outputs=("y", "z", "w")),
}


def tensors_of(pooled: Pooled, steps: int, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Inputs, parameters and initial states, drawn from a fixed seed; all want a gradient but tables."""
    torch.manual_seed(steps)
    found = {
        port: torch.randn(*(() if port in pooled.static else (steps,)), BATCH, WIDTH, dtype=dtype)
        for port in pooled.step.ports
    }
    for name, value in pooled.params.items():
        found[name] = (
            torch.rand(WIDTH, dtype=dtype) if value == "neuron" else torch.tensor(value, dtype=dtype)
        )
    found |= {state.name: torch.randn(BATCH, WIDTH, dtype=dtype) for state in pooled.step.states}
    wanted = {*pooled.step.ports, *pooled.train, *(state.name for state in pooled.step.states)}
    for name in wanted:
        found[name].requires_grad_()
    return found | {name: torch.tensor(levels, dtype=dtype) for name, levels in pooled.tables.items()}


def run(pooled: Pooled, given: dict[str, Tensor], steps: int, provider: Provider) -> dict[str, Tensor]:
    """Outputs, final states, and every gradient of a weighted sum of them."""
    step = pooled.step
    outputs, ends = run_scan(
        step,
        {port: given[port] for port in step.ports},
        {name: given[name] for name in (*step.params, *step.tables)},
        {state.name: given[state.name] for state in step.states},
        steps=steps,
        outputs=pooled.outputs,
        static=pooled.static,
        provider=provider,
    )
    found = {f"out {port}": x for port, x in outputs.items()} | {f"end {name}": x for name, x in ends.items()}
    torch.manual_seed(1)
    loss = sum((x * torch.randn_like(x)).sum() for x in found.values())
    wanted = [name for name, tensor in given.items() if tensor.requires_grad]
    assert isinstance(loss, Tensor)
    grads = torch.autograd.grad(loss, [given[name] for name in wanted])
    return {name: x.detach() for name, x in found.items()} | {
        f"d {name}": grad for name, grad in zip(wanted, grads, strict=True)
    }
