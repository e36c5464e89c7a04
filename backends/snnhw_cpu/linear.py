"""Linear layers: dense products, or products that skip zeros where that pays.

Sums are formed in another order when zeros are skipped, so which of the two runs is decided once for all
passes that share a memo. What either gives lies in memory that is used again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, get_args

import torch
from torch import Tensor

from snnhw.ir import Linear
from snnhw.tensors.autograd import Function
from snnhw.tensors.network import Memo
from snnhw_cpu.events import COSTS, product, weight_adjoint
from snnhw_cpu.limits import USUAL, Limits, Way
from snnhw_cpu.memory import empty

__all__ = ["LinearLayer", "LinearUse"]

LOOKED_AT: Final = 64
"""Rows, spread over all, that tell how many inputs are active: to count every one would cost as much as a
share of the product."""


@dataclass(frozen=True)
class LinearLayer:
    """Any linear layer; where the limits name no way, what the first product costs decides."""

    limits: Limits = USUAL

    @property
    def ways(self) -> tuple[str, ...]:
        """Those that are left to choose from."""
        return () if self.limits.way else get_args(Way)

    def at(self, node: str, memo: Memo) -> LinearUse:
        """One linear layer of a program."""
        return LinearUse(node, memo, self.limits)


@dataclass(frozen=True, eq=False)
class LinearUse:
    """One linear layer, and where it remembers what it has decided."""

    node: str
    memo: Memo
    limits: Limits

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
        if self._skips(op, rows):
            y = product(rows.contiguous(), self._turned(weight), self.limits)
            y = y if bias is None else y.add_(bias)
        else:
            y = empty(len(rows), op.out_features, dtype=x.dtype, reuse=self.limits.reuse)
            _dense(rows, weight, bias, y)
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
        if "weight" in wanted and self._skips(op, rows):
            found["weight"] = weight_adjoint(rows.contiguous(), sums.contiguous(), self.limits)
        elif "weight" in wanted:
            found["weight"] = sums.t() @ rows
        if "bias" in wanted:
            found["bias"] = sums.sum(0)
        if "x" in wanted:  # last, as it may go where x is
            to = out
            if to is None:
                to = empty(*rows.shape, dtype=x.dtype, reuse=self.limits.reuse)
            to = to.view(rows.shape)
            found["x"] = torch.mm(sums, weight, out=to).view(x.shape)
        return found

    def _skips(self, op: Linear, rows: Tensor) -> bool:
        """Whether zeros are skipped; silence decides nothing."""
        way = self.limits.way or self.memo.chosen.get(self.node)
        if way is None and (density := _density(rows)):
            costs = replace(COSTS, turn=0.0) if self.memo.lasting else COSTS
            wins = costs.wins(len(rows), op.in_features, op.out_features, density)
            way = self.memo.chosen[self.node] = "skip" if wins else "dense"
        return way == "skip"

    def _turned(self, weight: Tensor) -> Tensor:
        """``[K, O]``."""
        if self.node not in self.memo.derived:
            self.memo.derived[self.node] = weight.detach().t().contiguous()
        return self.memo.derived[self.node]


def _dense(rows: Tensor, weight: Tensor, bias: Tensor | None, out: Tensor) -> None:
    if bias is None:
        torch.mm(rows, weight.t(), out=out)
    else:
        torch.addmm(bias, rows, weight.t(), out=out)


def _density(rows: Tensor) -> float:
    """The share of inputs that are active."""
    some = rows[:: (len(rows) // LOOKED_AT) | 1]  # odd, lest every step shows the same samples of a batch
    return int(torch.count_nonzero(some)) / max(1, some.numel())


class _Linear(Function):
    @staticmethod
    def forward(
        ctx: Any, use: tuple[LinearUse, Linear], x: Tensor, weight: Tensor, bias: Tensor | None
    ) -> Tensor:
        ctx.layer, ctx.op = layer, op = use
        ctx.save_for_backward(x, weight)
        return layer.forward(op, x, weight, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        x, weight = ctx.saved_tensors
        if torch.is_grad_enabled():  # for who differentiates what this gives: in torch's own
            rows, grads = x.flatten(0, -2), grad.flatten(0, -2)
            return None, grad @ weight, grads.t() @ rows, grads.sum(0) if ctx.needs_input_grad[3] else None
        names = ("x", "weight", "bias")
        wanted = frozenset(name for name, need in zip(names, ctx.needs_input_grad[1:], strict=True) if need)
        found = ctx.layer.adjoint(ctx.op, {"x": x}, {"weight": weight}, grad, wanted)
        return None, *map(found.get, names)
