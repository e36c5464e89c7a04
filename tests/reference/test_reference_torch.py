"""Whole networks against plain torch in float64: outputs, and gradients to everything."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from reference_nets import Array, filled, leaky, per_channel, rate_loss, signal, two_layers
from torch import Tensor

from snnhw.ir import (
    AvgPool2d,
    Conv2d,
    Edge,
    Flatten,
    FrozenMap,
    Input,
    L1Rate,
    Linear,
    Loss,
    MaxPool2d,
    Output,
    Program,
    Term,
    TimeAxis,
    sequential,
    trainable,
)
from snnhw.ir.inputs import state_shapes
from snnhw.reference import gradients
from snnhw.tensors.autograd import Function

Tensors = Mapping[str, Tensor]
Net = Callable[[Tensor, Tensors, Tensors], tuple[Tensor, Tensor]]
"""Steps [T, B, ...], parameters, initial state -> output spikes, hidden spikes, both [T, B, ...]."""


class _Spike(Function):
    """Heaviside with the arctangent surrogate, alpha = 2."""

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        ctx.save_for_backward(z)
        return (z > 0).to(z.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (z,) = ctx.saved_tensors
        slope: Tensor = 1 / (1 + (math.pi * z) ** 2)
        return grads[0] * slope


def step(name: str, x: Tensor, mem: Tensor, w: Tensors) -> tuple[Tensor, Tensor]:
    """One step of a Leaky layer, subtracting, delayed."""
    theta = w[f"{name}.threshold"]
    reset = (mem > theta).to(x.dtype)
    mem = w[f"{name}.beta"].clamp(0, 1) * mem + x - reset * theta
    spikes: Tensor = _Spike.apply(mem - theta)
    return spikes, mem


def dense(xs: Tensor, w: Tensors, state: Tensors) -> tuple[Tensor, Tensor]:
    mem1, mem2, outputs, hidden = state["lif1.mem"], state["lif2.mem"], [], []
    for x in xs:
        spk1, mem1 = step("lif1", F.linear(x, w["fc1.weight"], w["fc1.bias"]), mem1, w)
        spk2, mem2 = step("lif2", F.linear(spk1, w["fc2.weight"], w["fc2.bias"]), mem2, w)
        outputs.append(spk2)
        hidden.append(spk1)
    return torch.stack(outputs), torch.stack(hidden)


def convolutional(xs: Tensor, w: Tensors, state: Tensors) -> tuple[Tensor, Tensor]:
    mem1, mem2, outputs, hidden = state["lif1.mem"], state["lif2.mem"], [], []
    for x in xs:
        current = F.max_pool2d(F.conv2d(x, w["conv.weight"], w["conv.bias"], padding=1), 2)
        spk1, mem1 = step("lif1", current, mem1, w)
        pooled = F.avg_pool2d(F.max_pool2d(spk1, 3, stride=1, padding=1), 2).flatten(1)
        spk2, mem2 = step("lif2", F.linear(pooled, w["fc.weight"], w["fc.bias"]), mem2, w)
        outputs.append(spk2)
        hidden.append(spk1)
    return torch.stack(outputs), torch.stack(hidden)


def recurrent(xs: Tensor, w: Tensors, state: Tensors) -> tuple[Tensor, Tensor]:
    mem1, mem2 = state["lif1.mem"], state["lif2.mem"]
    (spk1,) = state["lif1.spk->back.x"]
    outputs, hidden = [], []
    for x in xs:
        current = F.linear(x, w["fc1.weight"], w["fc1.bias"]) + F.linear(
            spk1, w["back.weight"], w["back.bias"]
        )
        spk1, mem1 = step("lif1", current, mem1, w)
        spk2, mem2 = step("lif2", F.linear(spk1, w["fc2.weight"], w["fc2.bias"]), mem2, w)
        outputs.append(spk2)
        hidden.append(spk1)
    return torch.stack(outputs), torch.stack(hidden)


def convolutional_program() -> Program:
    return sequential(
        {
            "x": Input((1, 8, 8)),
            "conv": Conv2d(1, 3, (3, 3), padding=(1, 1)),
            "pool": MaxPool2d((2, 2), (2, 2)),
            "lif1": leaky(param_shapes=per_channel((3, 1, 1))),
            "spread": MaxPool2d((3, 3), (1, 1), (1, 1)),  # on spikes: ties everywhere
            "mean": AvgPool2d((2, 2), (2, 2)),
            "flat": Flatten(),
            "fc": Linear(12, 3),
            "lif2": leaky(),
        }
    )


def recurrent_program() -> Program:
    nodes = FrozenMap(
        {
            "x": Input((5,)),
            "fc1": Linear(5, 7),
            "back": Linear(7, 7),
            "lif1": leaky(),
            "fc2": Linear(7, 3),
            "lif2": leaky(),
            "output": Output(),
        }
    )
    edges = (
        Edge("x.y", "fc1.x"),
        Edge("fc1.y", "lif1.x"),
        Edge("lif1.spk", "back.x", delay=1),
        Edge("back.y", "lif1.x"),
        Edge("lif1.spk", "fc2.x"),
        Edge("fc2.y", "lif2.x"),
        Edge("lif2.spk", "output.x"),
    )
    return trainable(Program(nodes, edges, TimeAxis()))


@pytest.mark.parametrize(
    ("program", "net", "sample"),
    [
        pytest.param(two_layers(), dense, (5,), id="dense"),
        pytest.param(two_layers(static=True), dense, (5,), id="static"),
        pytest.param(convolutional_program(), convolutional, (1, 8, 8), id="convolutional"),
        pytest.param(recurrent_program(), recurrent, (5,), id="recurrent"),
    ],
)
def test_outputs_and_gradients_are_those_of_torch(
    program: Program, net: Net, sample: tuple[int, ...]
) -> None:
    T, B = 9, 4
    static = bool(program.time.static_inputs)
    x = signal(3, *(() if static else (T,)), B, *sample) * 1.5
    weights = filled(program, {"beta": 0.8, "threshold": 0.7}, seed=1)
    loss = rate_loss("lif2.spk") + 0.01 * Loss((Term(L1Rate(), of="lif1.spk"),))
    y = np.array([0, 2, 1, 2])
    state = {key: signal(7, *shape) for key, shape in state_shapes(program, B).items()}
    ours = gradients(
        program, weights, {"x": x}, {"target": y}, loss,
        time_steps=T, state=state, wrt_inputs=True, wrt_state=True,
    )  # fmt: skip

    tx, tw, ts = _leaves({"x": x})["x"], _leaves(weights), _leaves(state)
    output, hidden = net(tx.expand(T, *tx.shape) if static else tx, tw, ts)
    value = torch.stack([F.cross_entropy(spikes, torch.tensor(y)) for spikes in output]).mean()
    value = value + 0.01 * hidden.sum()
    value.backward()

    spikes = ours.execution.outputs["output"]
    assert 0.1 < spikes.mean() < 0.9  # a silent or saturated network would show nothing
    np.testing.assert_array_equal(spikes, output.detach().numpy())
    np.testing.assert_allclose(ours.loss, value.item(), rtol=1e-12)
    assert set(ours.params) == set(weights)
    for found, leaves in ((ours.params, tw), ({"x": ours.inputs["x"]}, {"x": tx}), (ours.state, ts)):
        for key, tensor in leaves.items():
            assert tensor.grad is not None
            scale = float(tensor.grad.abs().max())
            assert scale > 0, key
            np.testing.assert_allclose(
                found[key], tensor.grad.numpy(), rtol=1e-9, atol=1e-12 * scale, err_msg=key
            )


def _leaves(arrays: Mapping[str, Array]) -> dict[str, Tensor]:
    return {key: torch.tensor(array, requires_grad=True) for key, array in arrays.items()}
