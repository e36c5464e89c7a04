"""What tests of capture share: signals, networks, and holding what was captured to its module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import snnhw as snn
from snnhw.ir import Input, Output
from snnhw.lowering import lower, make_job
from snnhw.nn import Captured, capture
from snnhw.registry import backend

T, B = 5, 3


def lif(**settings: Any) -> Any:
    return snn.Leaky(**{"beta": 0.8, "init_hidden": True, "threshold": 0.4, **settings})


def signal(*shape: int) -> Tensor:
    return torch.randn(T, B, *shape, generator=torch.Generator().manual_seed(0)) * 2


class Through(nn.Module):
    """One function, then neurons."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function
        self.lif = lif()

    def forward(self, x: Tensor) -> Any:
        return self.lif(self.function(x))


def same(net: nn.Module, *inputs: Tensor) -> Captured:
    """Captures, and holds the program on the CPU backend to the module, step by step: spikes in every bit.

    Other values may differ in the last one, where a product over all steps at once sums in another order.
    """
    torch.manual_seed(1)
    captured = capture(net, tuple(x[0] for x in inputs))
    plugin = backend("cpu")
    job = make_job(plugin, captured.program, time_steps=T, batch=B)
    names = captured.program.named(Input)
    with lower(plugin, captured.program, captured.params, job) as executable:
        found = executable.run(dict(zip(names, inputs, strict=True))).outputs
    snn.utils.reset(net)
    with torch.no_grad():
        steps = [net(*step) for step in zip(*inputs, strict=True)]
    rows = [step if isinstance(step, tuple) else (step,) for step in steps]
    ports = captured.program.outputs()
    for name, values in zip(captured.program.named(Output), zip(*rows, strict=True), strict=True):
        wanted, exact = torch.stack(values), ports[name].endswith(".spk")
        torch.testing.assert_close(found[name], wanted, rtol=0 if exact else 1e-5, atol=0 if exact else 1e-5)
        assert found[name].count_nonzero() > 0
    return captured


def kinds(captured: Captured) -> dict[str, type]:
    return {name: type(op) for name, op in captured.program.nodes.items()}
