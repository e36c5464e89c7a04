"""The order of a neuron's parameters and buffers."""

from __future__ import annotations

from typing import Any

from snnhw.nn.modules.arguments import FACTOR

__all__ = ["KIND", "ORDER", "in_order"]

KIND = "reset_mechanism_val"

ORDER = ("threshold", FACTOR, KIND, "beta", "V", "alpha", "time_step", "R", "C")
"""The order in which snnTorch registers parameters and buffers: its optimizers count them, and who sends the
values of a state_dict without their names does. Others follow."""


def in_order(kept: dict[str, Any], order: tuple[str, ...]) -> None:
    """Bring what torch keeps into an order."""
    places = {name: place for place, name in reversed(list(enumerate(order)))}
    for name in sorted(kept, key=lambda name: places.get(name, len(order))):
        kept[name] = kept.pop(name)
