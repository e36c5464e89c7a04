"""Shapes of a layer's parameters, as a program writes them."""

from __future__ import annotations

import math
from collections.abc import Iterable

from torch import Tensor

from snnhw.ir import FrozenMap, Shape
from snnhw.tensors.watched import sizes

__all__ = ["param_shapes"]


def param_shapes(params: Iterable[tuple[str, Tensor]], rank: int) -> FrozenMap[str, Shape]:
    """Of those that are no scalars: of ``rank`` axes. Torch aligns shapes on the right; so does this."""
    found = {}
    for name, tensor in params:
        shape = sizes(tensor)
        while len(shape) > rank and shape[0] == 1:  # an axis for the batch
            shape = shape[1:]
        if math.prod(shape) != 1:
            found[name] = (1,) * (rank - len(shape)) + shape
    return FrozenMap(found)
