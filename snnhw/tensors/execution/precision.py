"""Products at a coarser precision than everything else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from snnhw.ir import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, Linear, Program
from snnhw.tensors.network import OPERATIONS

__all__ = ["PRODUCTS", "InDtype", "products_in"]

PRODUCTS: Final = (Linear, Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d)
"""Ops that multiply a signal by weights."""


@dataclass(frozen=True)
class InDtype:
    """A product whose operands are rounded to a dtype, which a spike of 1 survives, and whose sums are wider.

    The result is rounded there too. Where signals are wider than that, the bias is added to it as wide as
    they are; else it is a part of the product.
    """

    dtype: torch.dtype

    def __call__(self, op: Any, xs: Mapping[str, Tensor], params: Mapping[str, Tensor]) -> Tensor:
        x, product = xs["x"], OPERATIONS[type(op)]
        whole = x.dtype == self.dtype
        rounded = {name: p.to(self.dtype) for name, p in params.items() if whole or name != "bias"}
        y = product(op, {"x": x.to(self.dtype)}, rounded).to(x.dtype)
        if whole or "bias" not in params:
            return y
        axes = (1,) * (len(params["weight"].shape) - 2)
        return (y + params["bias"].reshape(-1, *axes)).to(x.dtype)


def products_in(program: Program, dtype: torch.dtype | None) -> dict[str, InDtype]:
    """Node -> how it runs, for all products; none where there is no such dtype."""
    nodes = program.nodes.items() if dtype else ()
    return {name: InDtype(dtype) for name, op in nodes if dtype and isinstance(op, PRODUCTS)}
