"""snnTorch's parent classes, for ``isinstance`` and for neuron classes of one's own.

A subclass that writes its own ``forward`` uses `Firing.fire` and `Firing.mem_reset`; see `Firing`.
"""

from __future__ import annotations

from typing import Final

from snnhw.ir import NeuronModel, Param, model, variables
from snnhw.ir.models.leaky import LEAKY
from snnhw.nn.modules.arguments import REQUIRED, signature_of
from snnhw.nn.modules.documented import Documented
from snnhw.nn.modules.neuron import SpikingNeuron

__all__ = ["LIF"]

mem, x, threshold = variables("mem x threshold")

BARE: Final[NeuronModel] = model(
    "SpikingNeuron",
    states="mem",
    params=(Param("threshold", 1.0, about="the neuron fires where mem > threshold"),),
    integrate={"mem": x},
    fire=mem - threshold,
)
"""A threshold and nothing before it."""

SpikingNeuron._hw_model = BARE
SpikingNeuron._hw_signature = SpikingNeuron.__signature__ = signature_of(BARE, last=("reset_delay",))
SpikingNeuron.__doc__ = Documented(SpikingNeuron.__doc__, BARE, SpikingNeuron._hw_signature)  # type: ignore[assignment]  # read as text


class LIF(SpikingNeuron, model=LEAKY, leading={"beta": REQUIRED}, without=("reset_delay",)):
    """Parent of all neurons that leak. By itself it is a `snnhw.Leaky` whose reset comes one step late.

    Args:
        beta: decay of the membrane per step.
        threshold: the neuron fires where its membrane is greater.
    """
