"""Modules whose copies and pickles keep values, and not the graphs that led to them."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

__all__ = ["Copied"]


class Copied(nn.Module):
    """Pruning leaves a weight that it computes among the plain attributes of a module, where torch refuses to
    copy it once it has a graph; the next call computes it anew."""

    def __getstate__(self) -> dict[str, Any]:
        return {name: cut(value) for name, value in self.__dict__.items()}


def cut(value: Any) -> Any:
    """A tensor off its graph; anything else as it is."""
    return value.detach() if isinstance(value, Tensor) and not value.is_leaf else value
