"""snnTorch's StateLeaky: the membrane over all steps as a convolution, which leaves out the reset."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from math import log
from typing import Any, Final

import torch
from torch import Tensor, nn

from benchmarks.case import Case
from benchmarks.dynamics import without_reset
from benchmarks.inputs import Data
from benchmarks.layers import Neuron
from benchmarks.peers.peer import Peer
from benchmarks.side import Side, TorchSide, Trace, Unavailable

__all__ = ["STATE_LEAKY"]


class AllSteps(nn.Module):
    """A chain of layers, each over all steps."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(
            {name: _neuron(spec) if isinstance(spec, Neuron) else spec.build(nn) for name, spec in case.net}
        )

    def forward(self, x: Tensor) -> tuple[Tensor]:
        return (self.traced(x)[0],)

    def traced(self, x: Tensor) -> tuple[Tensor, dict[str, Trace]]:
        found: dict[str, Trace] = {}
        for name, layer in self.layers.items():
            x = layer(x)
            if isinstance(x, tuple):
                found[name] = Trace(*x)
                x = x[0]
        return x, found


def _neuron(spec: Neuron) -> nn.Module:
    """Its decay is ``exp(-1 / tau)`` with ``tau = 1 / (1 - beta)``: another beta for the same decay."""
    snn: Any = import_module("snntorch")
    name, setting = spec.surrogate
    made: nn.Module = import_module("snntorch._neurons.stateleaky").StateLeaky(
        beta=torch.full((spec.size,), 1.0 + log(spec.constant("beta"))),
        channels=spec.size,
        threshold=spec.constant("threshold"),
        spike_grad=getattr(snn.surrogate, name)(setting),
        learn_beta="beta" in spec.learnt,
    )
    return made


class StateSide(TorchSide):
    """As any torch module, but for where spikes and membranes are read."""

    def traces(self, data: Data) -> dict[str, Trace]:
        net: Any = self.net
        with torch.no_grad():
            found: dict[str, Trace] = net.traced(data.x)[1]
        return found


def _build(case: Case, weights: Mapping[str, Tensor]) -> Side:
    specs = [spec for _, spec in case.net if isinstance(spec, Neuron)]
    if any(spec.kind != "Leaky" or not spec.size for spec in specs) or case.static or case.loss:
        raise Unavailable("StateLeaky stands for layers of Leaky with a decay for each neuron")
    net = AllSteps(case)
    unknown = net.load_state_dict({f"layers.{key}": x for key, x in weights.items()}, strict=False)
    assert not unknown.unexpected_keys, unknown
    return StateSide(case, net, None)


STATE_LEAKY: Final = Peer(
    "snntorch-stateleaky",
    "snntorch",
    _build,
    without_reset,
    "no reset, on both sides; it learns tau, we beta",
)
