"""The loop over time that snnTorch's tutorials write, for any library with its classes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.case import Case
from benchmarks.layers import STATES, Neuron

__all__ = ["StepLoop", "tutorial_net"]

States = dict[str, tuple[Any, ...]]


class StepLoop(nn.Module):
    """A chain of layers, step by step, states handed from call to call.

    Args:
        library: snntorch, or snnhw in its place.
    """

    def __init__(self, case: Case, library: Any) -> None:
        super().__init__()
        self.steps, self.static, self.outputs = case.steps, case.static, case.outputs
        self.layers = nn.ModuleDict()
        self.states: dict[str, int] = {}
        self.last = case.last
        for name, layer in case.net:
            self.layers[name] = layer.build(library if isinstance(layer, Neuron) else nn)
            if isinstance(layer, Neuron):
                self.states[name] = len(STATES[layer.kind])

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        states: States = {}
        for name in self.states:
            first = self.layers[name].reset_mem()  # type: ignore[operator]  # a neuron
            states[name] = first if isinstance(first, tuple) else (first,)
        spk_rec, mem_rec = [], []
        for step in range(self.steps if self.static else len(x)):
            signal, states = self.step(x if self.static else x[step], states)
            spk_rec.append(signal)
            mem_rec.append(states[self.last][-1])
        if self.outputs == ("spk",):
            return (torch.stack(spk_rec),)
        return torch.stack(spk_rec), torch.stack(mem_rec)

    def step(self, signal: Tensor, states: States) -> tuple[Tensor, States]:
        """One step of all layers."""
        after: States = {}
        for name, layer in self.layers.items():
            if name in states:
                returned = layer(signal, *states[name])
                signal, after[name] = returned[0], returned[-self.states[name] :]
            else:
                signal = layer(signal)
        return signal, after


def tutorial_net(case: Case, snn: Any) -> nn.Module:
    """The network of snnTorch's tutorial 5, written as it is there.

    Args:
        snn: what the script imports under this name, the one line in which two scripts differ.
    """
    num_inputs, num_hidden, num_outputs = 784, 1000, 10
    beta, num_steps = 0.95, case.steps

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1 = nn.Linear(num_inputs, num_hidden)
            self.lif1 = snn.Leaky(beta=beta)
            self.fc2 = nn.Linear(num_hidden, num_outputs)
            self.lif2 = snn.Leaky(beta=beta)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            mem1 = self.lif1.init_leaky()
            mem2 = self.lif2.init_leaky()
            spk2_rec = []
            mem2_rec = []
            for _ in range(num_steps):
                cur1 = self.fc1(x)
                spk1, mem1 = self.lif1(cur1, mem1)
                cur2 = self.fc2(spk1)
                spk2, mem2 = self.lif2(cur2, mem2)
                spk2_rec.append(spk2)
                mem2_rec.append(mem2)
            return torch.stack(spk2_rec, dim=0), torch.stack(mem2_rec, dim=0)

    return Net()
