"""Torch's functions as a namespace of `snnhw.ir.evaluate`: values only, no autograd.

Derivatives come from `snnhw.ir.gradient`, so that they do not depend on torch's version.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from snnhw.ir import Namespace

__all__ = ["torch_namespace"]


@lru_cache(maxsize=64)
def torch_namespace(dtype: torch.dtype, device: torch.device) -> Namespace:
    """The functions at one dtype on one device; every operation rounds once to the dtype."""

    def const(value: float) -> Tensor:
        return torch.full((), value, dtype=dtype, device=device)  # a copy from the host would wait

    def nearest(x: Tensor, table: Tensor) -> Tensor:
        inside = torch.clamp(x, table.amin(), table.amax())
        return table[torch.argmin((inside.unsqueeze(-1) - table).abs(), dim=-1)]

    return {
        "const": const,
        "add": torch.add,
        "sub": torch.sub,
        "mul": torch.mul,
        "div": torch.div,
        # Of floats, the floor of the quotient as it is rounded.
        "floordiv": lambda a, b: (
            torch.floor(a / b) if a.is_floating_point() else torch.div(a, b, rounding_mode="floor")
        ),
        "neg": torch.neg,
        "abs": torch.abs,
        "exp": torch.exp,
        "log": torch.log,
        "sqrt": torch.sqrt,
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "atan": torch.atan,
        "minimum": torch.minimum,
        "maximum": torch.maximum,
        "greater": torch.gt,
        "where": torch.where,
        "nearest": nearest,
        "graft": lambda value, *pairs: value,
    }
