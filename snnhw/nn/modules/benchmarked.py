"""NeuroBench, which knows neurons by snnTorch's classes: in its hooks, its model, and what resets a network.

To it, a network of ours would have no spikes and no membranes, and would not be put at rest between batches.
Where it wraps a network that holds one of our neurons, these three places are shown ours, too.

They are names in its modules, and there is no way around replacing them (2.3.0). It asks
``isinstance(layer, snntorch.SpikingNeuron)`` of a class without a metaclass, with which nobody can register;
it offers no hook, subclass or attribute in place of that question; and it resets by ``snntorch.utils.reset``
whatever network has no ``reset`` of its own, such as an ``nn.Sequential``. Our neurons would have to descend
from snnTorch's, which need not be installed. Nothing is replaced in snnTorch itself.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any, Final

from torch import nn

__all__ = ["MODEL", "introduce"]

MODEL: Final = "neurobench.models.snntorch_models"
"""The module of the model, which calls ``net.eval()`` before it asks for anything."""

HOOKS: Final = "neurobench.hooks.neuron"


def introduce(ours: type[nn.Module]) -> None:
    """Let NeuroBench, which is loaded, take ``ours`` for neurons beside snnTorch's; once."""
    model, hooks = sys.modules[MODEL], sys.modules.get(HOOKS)
    theirs: Any = getattr(model, "snn", None)
    if hooks is None or not isinstance(getattr(theirs, "SpikingNeuron", None), type):
        return  # done, or a release that asks otherwise
    known: Any = SimpleNamespace(SpikingNeuron=(theirs.SpikingNeuron, ours))
    known_utils: Any = SimpleNamespace(reset=_both(model.utils.reset))
    vars(model).update(snn=known, utils=known_utils)
    vars(hooks).update(snn=known)


def _both(theirs: Any) -> Any:
    """snnTorch's reset, and ours."""

    def reset(net: nn.Module) -> None:
        from snnhw.utils import reset as own  # which imports this package

        theirs(net)
        own(net)

    return reset
