"""Programs for the tests of the torch runtime, and what they are as plain torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from snnhw.ir import (
    MODELS,
    Add,
    AvgPool2d,
    Conv2d,
    Edge,
    Flatten,
    FrozenMap,
    Input,
    Linear,
    Loss,
    MaxPool2d,
    Neuron,
    Op,
    Output,
    Params,
    Program,
    TimeAxis,
    init_params,
    require_valid,
    sequential,
    trainable,
)
from snnhw.passes import resolve_loss
from snnhw.plugin import Run, Train
from snnhw.tensors.autograd import Function
from snnhw.tensors.execution.executable import TorchExecutable
from snnhw.tensors.network import Network, plan
from snnhw.tensors.scans.eager import EagerProvider
from snnhw.tensors.scans.provider import Sizes

EAGER = EagerProvider()
T, B = 6, 4
NEURON = {"beta": 0.8, "threshold": 0.3}


def leaky(**settings: Any) -> Neuron:
    return Neuron(MODELS["Leaky"], **settings)


def network(nodes: Mapping[str, Op], wires: list[Edge], *, static: tuple[str, ...] = ()) -> Program:
    program = trainable(Program(FrozenMap(nodes), tuple(wires), TimeAxis(static_inputs=static)))
    require_valid(program)
    return program


def feedforward(*, static: bool = False) -> Program:
    """Linear, Leaky, Linear, Leaky."""
    layers: dict[str, Op] = {
        "x": Input((5,)),
        "fc1": Linear(5, 7),
        "lif1": leaky(),
        "fc2": Linear(7, 3),
        "lif2": leaky(),
    }
    return sequential(layers, time=TimeAxis(static_inputs=("x",) if static else ()))


def recurrent(*, static: bool = False, init: float | str = 0.0, delay: int = 1) -> Program:
    """A layer that hears its own spikes through a Linear, and a readout behind it."""
    nodes: dict[str, Op] = {
        "x": Input((5,)),
        "fc": Linear(5, 7),
        "back": Linear(7, 7),
        "lif": leaky(),
        "out": Linear(7, 3),
        "spk": Output(),
        "read": Output(),
    }
    wires = [
        Edge("x.y", "fc.x"),
        Edge("fc.y", "lif.x"),
        Edge("lif.spk", "back.x", delay=delay, init=init),
        Edge("back.y", "lif.x"),
        Edge("lif.spk", "out.x"),
        Edge("lif.spk", "spk.x"),
        Edge("out.y", "read.x"),
    ]
    return network(nodes, wires, static=("x",) if static else ())


def delayed(*, delay: int = 2, init: float | str = 0.0) -> Program:
    """A signal that meets itself, later; no cycle."""
    nodes: dict[str, Op] = {
        "x": Input((5,)),
        "fc": Linear(5, 5),
        "sum": Add(),
        "lif": leaky(),
        "output": Output(),
    }
    wires = [
        Edge("x.y", "fc.x"),
        Edge("fc.y", "sum.x"),
        Edge("x.y", "sum.x", delay=delay, init=init),
        Edge("sum.y", "lif.x"),
        Edge("lif.mem", "output.x"),
    ]
    return network(nodes, wires)


def convolutional() -> Program:
    layers: dict[str, Op] = {
        "x": Input((1, 12, 12)),
        "conv": Conv2d(1, 2, (3, 3)),
        "pool": MaxPool2d((2, 2), (2, 2)),
        "lif": leaky(),
        "mean": AvgPool2d((5, 5), (5, 5)),
        "flat": Flatten(),
        "fc": Linear(2, 3),
    }
    return sequential(layers, time=TimeAxis(static_inputs=("x",)))


def two_loops() -> Program:
    nodes: dict[str, Op] = {
        "x": Input((5,)), "a": Add(), "b": Add(), "lif": leaky(), "c": Add(), "output": Output(),
    }  # fmt: skip
    wires = [
        Edge("x.y", "a.x"), Edge("a.y", "b.x"), Edge("b.y", "a.x", delay=1), Edge("b.y", "lif.x"),
        Edge("lif.spk", "c.x"), Edge("c.y", "c.x", delay=3), Edge("c.y", "output.x"),
    ]  # fmt: skip
    return network(nodes, wires, static=("x",))


def params_of(program: Program, seed: int = 1, **values: float) -> Params:
    """Weights drawn, and every neuron's parameters as in `NEURON`."""
    keys = [key for key in program.params() if key.rpartition(".")[2] in NEURON]
    given: dict[str, Any] = {key: NEURON[key.rpartition(".")[2]] for key in keys}
    return init_params(program, seed, given=given | values)


def signal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 2


def executable(
    program: Program,
    params: Params | None = None,
    *,
    loss: Loss | None = None,
    optimizer: Any = None,
    dtype: torch.dtype = torch.float32,
    record: tuple[str, ...] = (),
    block: int = 0,
    taped: bool = False,
    **settings: Any,
) -> TorchExecutable:
    """The torch runtime with plain torch for the neurons; a training run when there is a loss."""
    shapes = {name: op.shape for name, op in program.nodes.items() if isinstance(op, Input)}
    job = Run(T, shapes, B, record)
    if loss is not None:
        job = Train(T, shapes, B, record, loss=resolve_loss(program, loss), optimizer=optimizer, **settings)
    given = params_of(program) if params is None else params
    network = Network(program, plan(program), EAGER, Sizes(block=block, alone=(Conv2d,), taped=taped))
    return TorchExecutable(network, given, job, device=torch.device("cpu"), dtype=dtype)


# -- the same in plain torch ------------------------------------------------------------------------


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


def lif_step(x: Tensor, mem: Tensor, w: Mapping[str, Tensor], name: str) -> tuple[Tensor, Tensor]:
    theta = w[f"{name}.threshold"]
    flag = (mem > theta).to(x.dtype).detach()
    mem = w[f"{name}.beta"].clamp(0.0, 1.0) * mem + x - flag * theta
    spikes: Tensor = Spike.apply(mem - theta)
    return spikes, mem


def linear(x: Tensor, w: Mapping[str, Tensor], name: str) -> Tensor:
    return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])


def feedforward_by_hand(xs: Tensor, w: Mapping[str, Tensor]) -> Tensor:
    """Spikes ``[T, B, 3]`` of `feedforward`."""
    batch = xs.shape[1]
    mem1, mem2 = xs.new_zeros(batch, 7), xs.new_zeros(batch, 3)
    found = []
    for x in xs:
        spk, mem1 = lif_step(linear(x, w, "fc1"), mem1, w, "lif1")
        spk, mem2 = lif_step(linear(spk, w, "fc2"), mem2, w, "lif2")
        found.append(spk)
    return torch.stack(found)


def recurrent_by_hand(xs: Tensor, w: Mapping[str, Tensor], first: Tensor) -> tuple[Tensor, Tensor]:
    """Spikes and readout of `recurrent`, whose delayed edge brings ``first [delay, B, 7]`` at the start."""
    line, mem, spikes, readouts = [*first], xs.new_zeros(xs.shape[1], 7), [], []
    for t, x in enumerate(xs):
        spk, mem = lif_step(linear(x, w, "fc") + linear(line[t], w, "back"), mem, w, "lif")
        line.append(spk)
        spikes.append(spk)
        readouts.append(linear(spk, w, "out"))
    return torch.stack(spikes), torch.stack(readouts)


def leaves(params: Params) -> dict[str, Tensor]:
    return {key: torch.from_numpy(np.array(array)).requires_grad_() for key, array in params.items()}
