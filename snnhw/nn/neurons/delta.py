"""The neuron that fires when its membrane moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from snnhw.ir.models.delta_leaky import DELTA_LEAKY
from snnhw.nn.neuron import SpikingNeuron

__all__ = ["DeltaLeaky"]


class DeltaLeaky(SpikingNeuron, model=DELTA_LEAKY, leading={"delta_threshold": 1.0, "beta": 0.9}):
    """`snnhw.ir.models.delta_leaky` as a torch module; see `SpikingNeuron` for how it is called.

    A call returns ``(spk, (mem, mem_prev))``, and takes the pair as its state, as in snnTorch.

    Args:
        delta_threshold: the neuron fires where its membrane moves by more.
        beta: decay of the membrane per step; not clamped.
    """

    def returned(self, ports: Mapping[str, Any]) -> Any:
        if self.init_hidden and not self.output:
            return ports["spk"]
        return ports["spk"], (ports["mem"], ports["mem_prev"])

    def _given(self, states: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Tensor | None]:
        if len(states) == 1 and isinstance(states[0], (tuple, list)):
            states = states[0]
        if isinstance(named.get("mem"), (tuple, list)):
            mem, mem_prev = named["mem"]
            named = {"mem": mem, "mem_prev": mem_prev}
        return super()._given(states, named)
