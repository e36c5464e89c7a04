"""Linear layers: dense products, or products that skip zeros where that pays.

Sums are formed in another order when zeros are skipped, so which of the two runs is decided once, at the
first call that is not silent. What either gives lies in memory that is used again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from snnhw.ir import Linear
from snnhw.tensors.autograd import Function
from snnhw_cpu.events import COSTS, product, weight_adjoint
from snnhw_cpu.memory import room

__all__ = ["LinearLayer"]


@dataclass(eq=False)
class LinearLayer:
    """One linear layer of a program; ``skips`` says whether it skips zeros, None until that is decided."""

    skips: bool | None = None
    _turned: tuple[tuple[int, int], Tensor] | None = field(default=None, repr=False)

    def __call__(self, op: Linear, xs: Mapping[str, Tensor], params: Mapping[str, Tensor]) -> Tensor:
        x, weight, bias = xs["x"], params["weight"], params.get("bias")
        wanted = any(tensor is not None and tensor.requires_grad for tensor in (x, weight, bias))
        if not (wanted and torch.is_grad_enabled()):
            return self.forward(op, x, weight, bias)
        found: Tensor = _Linear.apply((self, op), x, weight, bias)
        return found

    def forward(self, op: Linear, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """``[..., K]`` -> ``[..., O]``."""
        rows = x.reshape(-1, op.in_features)
        if self.skips is None and (active := int(torch.count_nonzero(rows))):
            density = active / rows.numel()
            self.skips = COSTS.wins(len(rows), op.in_features, op.out_features, density)
        if self.skips:
            y = product(rows.contiguous(), self._transpose(weight))
            y = y if bias is None else y.add_(bias)
        else:
            y = room(len(rows), op.out_features, dtype=x.dtype)
            if bias is None:
                torch.mm(rows, weight.t(), out=y)
            else:
                torch.addmm(bias, rows, weight.t(), out=y)
        return y.view(*x.shape[:-1], op.out_features)

    def adjoint(
        self,
        op: Linear,
        xs: Mapping[str, Tensor],
        params: Mapping[str, Tensor],
        grad: Tensor,
        wanted: frozenset[str],
        *,
        out: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """See `snnhw.tensors.network.Differentiated`."""
        x, weight = xs["x"], params["weight"]
        rows, sums = x.reshape(-1, op.in_features), grad.reshape(-1, op.out_features)
        found = {}
        if "weight" in wanted and self.skips:
            found["weight"] = weight_adjoint(rows.contiguous(), sums.contiguous())
        elif "weight" in wanted:
            found["weight"] = sums.t() @ rows
        if "bias" in wanted:
            found["bias"] = sums.sum(0)
        if "x" in wanted:  # last, as it may go where x is
            to = room(*rows.shape, dtype=x.dtype) if out is None else out.view(rows.shape)
            found["x"] = torch.mm(sums, weight, out=to).view(x.shape)
        return found

    def _transpose(self, weight: Tensor) -> Tensor:
        """``[K, O]``, kept until the weight changes."""
        key = (weight.data_ptr(), weight._version)
        if self._turned is None or self._turned[0] != key:
            self._turned = key, weight.detach().t().contiguous()
        return self._turned[1]


class _Linear(Function):
    @staticmethod
    def forward(
        ctx: Any, use: tuple[LinearLayer, Linear], x: Tensor, weight: Tensor, bias: Tensor | None
    ) -> Tensor:
        ctx.layer, ctx.op = layer, op = use
        ctx.save_for_backward(x, weight)
        return layer.forward(op, x, weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        x, weight = ctx.saved_tensors
        names = ("x", "weight", "bias")
        wanted = frozenset(name for name, need in zip(names, ctx.needs_input_grad[1:], strict=True) if need)
        found = ctx.layer.adjoint(ctx.op, {"x": x}, {"weight": weight}, grad, wanted)
        return None, *map(found.get, names)
