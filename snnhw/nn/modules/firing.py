"""What a neuron class of one's own is put together from, under snnTorch's names."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

import snnhw.tensors.surrogates  # noqa: F401  # what a surrogate called on a tensor means
from snnhw.ir import Surrogate
from snnhw.nn.modules.arguments import FACTOR, surrogate_of

__all__ = ["Firing"]


class Firing(nn.Module):
    """Spikes and resets from a membrane, for a subclass that writes its own ``forward``::

        class Mine(snnhw.LIF):
            def forward(self, x, mem):
                reset = self.mem_reset(mem)
                mem = self.beta * mem + x - reset * self.threshold
                return self.fire(mem), mem

    Such a layer runs and trains as a torch module. Only equations can be compiled: see `snnhw.neuron`.
    """

    surrogate: Surrogate | None
    quantised: bool
    threshold: Tensor

    def fire(self, mem: Tensor) -> Tensor:
        """Spikes where a membrane ``[B, ...]`` exceeds the threshold, each worth the graded factor."""
        spikes: Tensor = self.spike_grad(self._quantised(mem) - self.threshold) * getattr(self, FACTOR)
        return spikes

    def fire_inhibition(self, batch_size: int, mem: Tensor) -> Tensor:
        """As `fire`, where a membrane ``[B, N]`` is the largest of its sample; of equals the first."""
        above = mem - self.threshold
        spikes: Tensor = self.spike_grad(above)
        largest = nn.functional.one_hot(above.argmax(1), above.shape[1])
        return spikes * largest[:batch_size].to(spikes.dtype)

    def mem_reset(self, mem: Tensor) -> Tensor:
        """1 where a membrane ``[B, ...]`` exceeds the threshold, else 0; a constant to the gradient."""
        return (mem > self.threshold).to(mem.dtype)

    @property
    def spike_grad(self) -> Any:
        """The surrogate; may be set. Called on ``membrane - threshold`` it gives spikes."""
        return _plain if self.surrogate is None else self.surrogate

    @spike_grad.setter
    def spike_grad(self, given: Any) -> None:
        self.surrogate = surrogate_of(given, disabled=False)

    @property
    def surrogate_disable(self) -> bool:
        """Whether no gradient passes through spikes."""
        return self.surrogate is None

    @property
    def state_quant(self) -> Any:
        """What rounds states to the nearest level, or False."""
        return self._quantised if self.quantised else False

    def _quantised(self, mem: Tensor) -> Tensor:
        if not self.quantised:
            return mem
        from snnhw.functional.quant import StateQuant  # which imports torch's parts that few need

        rounded: Tensor = StateQuant(self.get_buffer("levels"))(mem)
        return rounded

    @staticmethod
    def detach(*args: Tensor) -> None:
        """Cut tensors off the graph behind them, in place."""
        for state in args:
            state.detach_()


def _plain(z: Tensor) -> Tensor:
    """Spikes that pass no gradient."""
    return (z > 0).to(z.dtype)
