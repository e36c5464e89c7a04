"""Torch's functions of one element as equations: the same values and slopes, at their kinks too."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from snnhw.errors import CaptureError
from snnhw.ir import Pointwise, evaluate, var
from snnhw.ir.evaluate import numpy_namespace
from snnhw.ir.gradient import gradient
from snnhw.nn import capture

pytestmark = pytest.mark.usefixtures("one_thread")

POINTS = [-90.0, -3.0, -1.0, -0.5, 0.0, 0.25, 0.5, 1.0, 2.0, 6.0, 7.0, 90.0]

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "abs": torch.abs,
    "clamp": lambda x: torch.clamp(x, -0.5, 0.5),
    "clamp from below": lambda x: x.clamp(min=0),
    "clamp from above": lambda x: torch.clip(x, max=0.25),
    "elu": lambda x: F.elu(x, 0.5),
    "exp": lambda x: (x * 0.1).exp(),
    "hardtanh": lambda x: F.hardtanh(x, -1, 2),
    "leaky_relu": F.leaky_relu,
    "leaky_relu of another slope": lambda x: F.leaky_relu(x, 0.25),
    "negative": lambda x: -abs(x),
    "relu": torch.relu,
    "relu6": F.relu6,
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "square": torch.square,
    "tanh": torch.tanh,
}

LAYERS: dict[str, Callable[[Tensor], Tensor]] = {
    "ELU": nn.ELU(0.5),
    "Hardtanh": nn.Hardtanh(-1, 2),
    "LeakyReLU": nn.LeakyReLU(0.25),
    "ReLU": nn.ReLU(inplace=True),
    "ReLU6": nn.ReLU6(),
    "SiLU": nn.SiLU(),
}


BOUNDS = {"clamp": [-0.5, 0.5], "clamp from below": [0.0], "clamp from above": [0.25]}
"""Where the slope is 1 by torch before 2.14 and 0 since; here it is 1, whatever the release."""


class Through(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x * 1.0)


@pytest.mark.parametrize("name", [*FUNCTIONS, *LAYERS])
def test_values_and_slopes_are_torchs(name: str) -> None:
    net, x = (
        Through({**FUNCTIONS, **LAYERS}[name]),
        torch.tensor(POINTS, dtype=torch.float64, requires_grad=True),
    )
    value, slope = np.array(POINTS), np.ones(len(POINTS))
    for op in capture(net, torch.zeros(1, len(POINTS))).program.nodes.values():
        if isinstance(op, Pointwise):  # the chain rule, node by node
            (port,) = op.ports
            (derived,) = gradient([op.outputs["y"]], [var("seed")], [var(port)])
            env = {port: value, "seed": slope}
            value, slope = evaluate([op.outputs["y"], derived], env, numpy_namespace())
    wanted = net(x)
    wanted.sum().backward()
    assert x.grad is not None
    np.testing.assert_allclose(value, wanted.detach(), rtol=1e-12)
    slope, theirs = np.broadcast_to(slope, value.shape), x.grad.numpy()
    at = np.isin(POINTS, BOUNDS.get(name, []))
    np.testing.assert_allclose(slope[~at], theirs[~at], rtol=1e-12, atol=1e-15)
    assert (slope[at] == 1.0).all()
    assert np.isin(theirs[at], [0.0, 1.0]).all()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x.clamp(), "clamp takes a lower bound, an upper one, or both"),
        (lambda x: x.clamp(x), "clamp takes numbers for its bounds"),
    ],
)
def test_refused(function: Callable[[Tensor], Tensor], message: str) -> None:
    with pytest.raises(CaptureError, match=message):
        capture(Through(function), torch.zeros(2, 3))
