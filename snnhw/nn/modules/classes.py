"""A module class for every neuron model."""

from __future__ import annotations

from types import new_class

from snnhw.errors import InputError
from snnhw.ir import NeuronModel
from snnhw.nn.modules.arguments import OPTIONS
from snnhw.nn.modules.neuron import SPK, SpikingNeuron
from snnhw.nn.modules.parents import LIF
from snnhw.words import listing

__all__ = ["neuron_class"]

OWN = frozenset({"training"})
"""Attributes that a torch module gets when it is constructed."""


def neuron_class(model: NeuronModel, *, module: str) -> type[SpikingNeuron]:
    """The module class of a model; ``module`` is where it will be found, for pickle.

    Raises:
        InputError: the model has no state or not exactly one input, or a name of it means something
            else to a torch module.
    """
    if len(model.ports) != 1 or not model.states:
        raise InputError(
            f"model {model.name}: a module is called with one input and keeps states, but this model has the "
            f"inputs {listing(model.ports)} and {len(model.states)} states; use it in a Program"
        )
    names = {param.name for param in model.params} | {state.name for state in model.states} - {SPK}
    taken = sorted(name for name in names if name in OWN | OPTIONS or hasattr(SpikingNeuron, name))
    if taken:
        raise InputError(
            f"model {model.name}: {listing(taken)} already means something to a torch module; "
            "choose another name for the parameter or state"
        )
    body = {
        "__doc__": f"{model.name} as a torch module; see `SpikingNeuron` for how it is called.",
        "__module__": module,
        f"init_{model.name.lower()}": SpikingNeuron.reset_mem,
    }
    parent = LIF if any(param.name == "beta" for param in model.params) else SpikingNeuron
    made: type[SpikingNeuron] = new_class(
        model.name, (parent,), {"model": model}, lambda namespace: namespace.update(body)
    )
    return made
