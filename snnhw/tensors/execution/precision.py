"""Products at a coarser precision than everything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor

from snnhw.ir import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, Linear
from snnhw.tensors.network import OPERATIONS

__all__ = ["PRODUCTS", "in_bfloat16"]

PRODUCTS: Final = (Linear, Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d)
"""Ops that multiply a signal by weights."""


def in_bfloat16(op: Any, xs: Mapping[str, Tensor], params: Mapping[str, Tensor]) -> Tensor:
    """Operands rounded to bfloat16, which a spike of 1 survives; sums and bias at full precision."""
    rounded = {name: value.to(torch.bfloat16) for name, value in params.items() if name != "bias"}
    x = xs["x"]
    y = OPERATIONS[type(op)](op, {"x": x.to(torch.bfloat16)}, rounded).to(x.dtype)
    if "bias" not in params:
        return y
    axes = (1,) * (len(params["weight"].shape) - 2)
    return y + params["bias"].reshape(-1, *axes)
