"""The device's side of an optimizer: it updates weights, by settings that were taken over once."""

from __future__ import annotations

from typing import Any, Callable, Mapping

import torch
from torch import Tensor

from .errors import Error
from .optim import LAMB, SGD, Adam, AdamW, RMSprop

__all__ = ["Updater"]

Settings = Mapping[str, "tuple[Any, bool]"]

SLOTS: Mapping[Any, Mapping[str, str]] = {
    SGD: {"momentum_buffer": "Accl1"},
    Adam: {"step": "Step", "exp_avg": "Accl1", "exp_avg_sq": "Accl2"},
    AdamW: {"step": "Step", "exp_avg": "Accl1", "exp_avg_sq": "Accl2"},
    RMSprop: {"step": "Step", "square_avg": "Accl1", "momentum_buffer": "Accl2", "grad_avg": "Accl3"},
}
"""Kind -> torch's name for what it remembers of a weight -> PopART's."""

NEEDED: Mapping[str, Callable[[Settings], bool]] = {
    "momentum_buffer": lambda taken: not taken["momentum"][1] or bool(taken["momentum"][0]),
    "grad_avg": lambda taken: bool(taken["centered"][0]),
}
"""Slots that are there in some cases only."""

COMPILED = ("nesterov", "centered", "amsgrad")
"""Settings that decide which operations are compiled: a change would be without effect."""


class Updater:
    """Holds what the device remembers.

    Args:
        kind: class of the optimizer; taken: its settings; weights: name -> value, updated in place. PopART
            remembers nothing of a weight without a gradient, so none is here; of the others in single
            precision, whatever they are in.
    """

    def __init__(self, kind: Any, taken: Settings, weights: Mapping[str, Tensor]) -> None:
        assert kind is not LAMB, "The updates of LAMB are not emulated"
        self.kind, self.taken = kind, dict(taken)
        self.weights = dict(weights)
        self.exact = {name: _single(weight) for name, weight in weights.items()}
        usable = {name: value for name, (value, _) in taken.items() if name in kind.GROUP}
        group = {"params": list(self.exact.values())}  # which may be empty, in a group
        self.rule: Any = getattr(torch.optim, kind.__name__)([group], **usable)
        self.slots = {ours: theirs for ours, theirs in SLOTS[kind].items() if self._needed(ours)}
        for weight in self.exact.values():
            blank = {name: torch.zeros_like(weight) for name in self.slots if name != "step"}
            step = {"step": torch.zeros(())} if "step" in self.slots else {}
            if blank or step:
                self.rule.state[weight] = {**step, **blank}

    def _needed(self, slot: str) -> bool:
        return slot not in NEEDED or NEEDED[slot](self.taken)

    def take(self, taken: Settings) -> None:
        """Other settings; what was constant must stay, and remain so."""
        for name, (value, constant) in taken.items():
            before, was_constant = self.taken[name]
            fixed = was_constant or constant or name in COMPILED
            if (value != before and fixed) or constant != was_constant:
                raise Error("optimizer attribute '%s' is constant and cannot change after compilation" % name)
        self.taken = dict(taken)
        for name in self.kind.GROUP:
            self.rule.param_groups[0][name] = taken[name][0]

    def update(self, grads: Mapping[str, Tensor | None]) -> None:
        """One update. A weight that the loss does not read has no gradient, and stays."""
        limit = self.taken.get("max_grad_norm", (float("inf"), True))[0]
        found = [grad for grad in grads.values() if grad is not None]
        scale = 1.0
        if limit != float("inf") and found:
            norm = torch.sqrt(torch.stack([grad.float().square().sum() for grad in found]).sum())
            scale = float(limit / torch.maximum(norm, torch.tensor(float(limit))))
        for name, weight in self.exact.items():
            grad = grads.get(name)
            weight.copy_(self.weights[name])
            weight.grad = None if grad is None else grad.float() * scale
        self.rule.step()
        self.rule.zero_grad(set_to_none=True)
        for name, weight in self.weights.items():
            weight.copy_(self.exact[name])

    def read(self) -> dict[str, dict[str, Tensor]]:
        """What is remembered, and the settings, under names like PopART's."""
        state, numbers = {}, {}
        for name, weight in self.exact.items():
            for slot, theirs in self.slots.items():
                state["%s___%s" % (theirs, name)] = self.rule.state[weight][slot].detach().clone()
            numbers["learningRate___specific___%s" % name] = torch.tensor(float(self.taken["lr"][0]))
        return {"ipu_state": state, "ipu_param": numbers}

    def write(self, state: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Put back what was read, all of it: PopTorch writes from where the arrays lie, and from where an
        earlier one lay, or from nowhere, if one is missing.

        Settings that come with it go no further than the host's side of the device, and are written anew from
        the optimizer at the next load.
        """
        for name, weight in self.exact.items():
            for slot, theirs in self.slots.items():
                place, held = "%s___%s" % (theirs, name), self.rule.state[weight][slot]
                value = state["ipu_state"].get(place)
                if value is None or value.shape != held.shape or value.dtype != held.dtype:
                    raise Error(
                        "the optimizer's state %s %s; PopTorch would read memory that is not it. Give %s "
                        "of shape %s" % (place, _seen(value), held.dtype, list(held.shape))
                    )
                held.copy_(value)


def _single(weight: Tensor) -> Tensor:
    return weight if weight.dtype == torch.float32 else weight.float()


def _seen(value: Tensor | None) -> str:
    return "is missing" if value is None else "is %s of shape %s" % (value.dtype, list(value.shape))
