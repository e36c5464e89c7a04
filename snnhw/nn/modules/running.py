"""Running a layer that is made of several ops, outside any compiled network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from snnhw.ir import Shape
from snnhw.ir.composites import Composite
from snnhw.ir.noise import Clock
from snnhw.tensors.network import Network, plan, run_network

__all__ = ["NAME", "CompositeRunner"]

NAME = "neuron"
"""What a layer is called that runs by itself."""


class Owner(Protocol):
    """Who holds the parameters."""

    def _hw_tensor_of(self, name: str) -> Tensor: ...


class CompositeRunner:
    """A `Composite` for samples of one shape, scheduled.

    Attributes:
        composite: the ops, under `NAME`.
    """

    def __init__(self, composite: Composite, shape: Shape) -> None:
        self.composite = composite
        self._program = composite.program(dict.fromkeys(composite.inputs, shape))
        self._network = Network(self._program, plan(self._program))
        self._params = {
            key: (key.removeprefix(f"{NAME}."), spec) for key, spec in self._program.params().items()
        }

    @property
    def tensors(self) -> tuple[str, ...]:
        """What it asks its owner for."""
        return tuple(dict.fromkeys(name for name, _ in self._params.values()))

    @property
    def draws(self) -> bool:
        """Whether it draws random numbers."""
        return self._program.clocked

    def run(
        self, owner: Owner, x: Tensor, before: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """All steps of ``x [T, B, ...]``: port -> ``[T, B, ...]``, and state -> ``[B, ...]`` after them.

        Args:
            before: state -> ``[B, ...]``; those left out start from rest.
        """
        params = {}
        for key, (name, spec) in self._params.items():
            tensor = owner._hw_tensor_of(name).to(x.dtype)
            params[key] = tensor if spec.table else tensor.reshape(spec.shape)
        states = self.composite.states
        outputs = self.composite.outputs
        found = run_network(
            self._network,
            params,
            dict.fromkeys(self.composite.inputs, x),
            state={key: _under_way(key, value) for name, value in before.items() for key in states[name]},
            sizes=(x.shape[0], x.shape[1]),
            wanted=outputs.values(),
            clock=self._clock(),
        )
        ports = {port: found.ports[source] for port, source in outputs.items()}
        return ports, {name: _arrived(keys[0], found.state) for name, keys in states.items()}

    def _clock(self) -> Clock | None:
        """Random numbers that follow torch's generator, where the layer draws any."""
        return Clock(int(torch.randint(2**31, ()))) if self.draws else None


def _under_way(key: str, value: Tensor) -> Tensor:
    """A state as a run has it: what a delayed edge carries has an axis for the delay."""
    return value.unsqueeze(0) if "->" in key else value


def _arrived(key: str, state: Mapping[str, Tensor]) -> Tensor:
    return state[key].squeeze(0) if "->" in key else state[key]
