"""How stateless layers run on the CPU where not by torch alone.

Products are of bits where that pays, or in bfloat16 where asked; pools keep little.
"""

from __future__ import annotations

import torch

from snnhw.ir import Conv2d, Linear, MaxPool2d, Program
from snnhw.tensors.execution.precision import products_in
from snnhw.tensors.network import Operation, Remembering
from snnhw_cpu.convolution import ConvLayer
from snnhw_cpu.limits import Limits
from snnhw_cpu.linear import LinearLayer
from snnhw_cpu.lookup.images import fits
from snnhw_cpu.pools import MaxPool, pools

__all__ = ["layers_of"]


def layers_of(program: Program, *, precision: str, limits: Limits) -> dict[str, Operation | Remembering]:
    """Node -> how it runs, for the layers that do not run as torch's own at full precision."""
    found: dict[str, Operation | Remembering] = {
        **products_in(program, torch.bfloat16 if precision == "bf16" else None)
    }
    for name, op in program.nodes.items():
        if name in found:
            continue
        if isinstance(op, Linear):
            found[name] = LinearLayer(limits)
        elif isinstance(op, Conv2d) and fits(op, 1):
            found[name] = ConvLayer(limits)
        elif isinstance(op, MaxPool2d) and limits.own_pools and pools(op):
            found[name] = MaxPool(limits)
    return found
