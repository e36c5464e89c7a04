"""The leaky integrate-and-fire neuron of first order."""

from __future__ import annotations

from typing import Any

from snnhw.ir.models.leaky import LEAKY
from snnhw.nn.modules.parents import LIF

__all__ = ["Leaky"]


class Leaky(LIF, model=LEAKY, last=("reset_delay",)):
    """`snnhw.ir.models.leaky` as a torch module; see `SpikingNeuron` for how it is called.

    A call takes and returns the state ``mem``.

    Args:
        beta: decay of the membrane per step.
        threshold: the neuron fires where its membrane is greater.
        reset_mechanism: ``subtract``, ``zero``, ``none``; ``subtract_beta``, which decays with the membrane.
    """

    def _base_zero(self, input_: Any) -> Any:
        self._hw_keep_states({"mem": (1 - self.reset) * self._hw_state("mem")})
        return self._base_state_function(input_)

    def init_leaky(self) -> Any:
        """`reset_mem` under snnTorch's older name."""
        return self.reset_mem()
