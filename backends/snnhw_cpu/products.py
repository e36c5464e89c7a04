"""How stateless layers run on the CPU where not by torch alone.

Products skip zeros where that pays, or are in bfloat16 where asked; pools keep little.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from snnhw.ir import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, Linear, MaxPool2d, Program
from snnhw.tensors.network import OPERATIONS, Operation, Remembering
from snnhw_cpu.limits import Limits
from snnhw_cpu.linear import LinearLayer
from snnhw_cpu.pools import MaxPool, pools

__all__ = ["layers_of"]

PRODUCTS = (Linear, Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d)


def layers_of(program: Program, *, precision: str, limits: Limits) -> dict[str, Operation | Remembering]:
    """Node -> how it runs, for the layers that do not run as torch's own at full precision."""
    found: dict[str, Operation | Remembering] = {}
    for name, op in program.nodes.items():
        if precision == "bf16" and isinstance(op, PRODUCTS):
            found[name] = _in_bfloat16
        elif isinstance(op, Linear):
            found[name] = LinearLayer(limits)
        elif isinstance(op, MaxPool2d) and limits.own_pools and pools(op):
            found[name] = MaxPool(limits)
    return found


def _in_bfloat16(op: Any, xs: Mapping[str, Tensor], params: Mapping[str, Tensor]) -> Tensor:
    """Operands rounded to bfloat16, which a spike of 1 survives; sums and bias at full precision."""
    rounded = {name: value.to(torch.bfloat16) for name, value in params.items() if name != "bias"}
    x = xs["x"]
    y = OPERATIONS[type(op)](op, {"x": x.to(torch.bfloat16)}, rounded).to(x.dtype)
    if "bias" not in params:
        return y
    axes = (1,) * (len(params["weight"].shape) - 2)
    return y + params["bias"].reshape(-1, *axes)
