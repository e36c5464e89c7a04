"""A layer of neurons in words, for ``repr``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snnhw.nn.modules.arguments import FACTOR, shown

if TYPE_CHECKING:
    from snnhw.nn.modules.neuron import SpikingNeuron

__all__ = ["described"]

USUAL = {"reset_delay": True, "init_hidden": False, "output": False, "inhibition": False}
"""Options that are only shown where they are set otherwise."""


def described(layer: SpikingNeuron) -> str:
    """Sizes, parameters, what of them is learnt, and the options that are not the usual ones."""
    names = [param.name for param in layer._hw_model.params]
    parts = [f"{name}={getattr(layer, name)}" for name in layer._hw_sizes]
    parts += [f"{name}={shown(layer._hw_tensor_of(name))}" for name in names]
    learnt = [name for name in (*names, FACTOR) if layer._hw_learns(name)]
    parts += [f"learn_{name}=True" for name in learnt]
    if layer._hw_graded:
        parts.append(f"{FACTOR}={shown(layer._hw_tensor_of(FACTOR))}")
    parts += [f"spike_grad={layer._hw_surrogate!r}"] if layer._hw_surrogate else ["surrogate_disable=True"]
    parts.append(f"reset_mechanism={layer.reset_mechanism!r}")
    parts += [f"{name}={not usual}" for name, usual in USUAL.items() if getattr(layer, name) != usual]
    parts += [f"state_quant={shown(layer._hw_levels)}"] if layer._hw_has_levels else []
    return ", ".join(parts)
