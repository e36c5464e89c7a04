"""Linear layers: dense products, or products of bits where these pay.

Each forms sums in another order, so which of them runs is decided once for all passes that share a memo. What
any gives lies in memory that is used again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, cast, get_args

import torch
from torch import Tensor

from snnhw.ir import Linear
from snnhw.tensors.network import Memo
from snnhw_cpu.costs import costs_here, seen
from snnhw_cpu.limits import USUAL, Limits, Way
from snnhw_cpu.lookup import Words, added_rows, looked_up, pack
from snnhw_cpu.memory import empty
from snnhw_cpu.recorded import recorded

__all__ = ["LinearLayer", "LinearUse"]


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


class Packed(NamedTuple):
    """Rows as bits.

    Attributes:
        values: the rows as they were, where they are not all 0 and 1.
        looks: whether sums are looked up; else rows are added.
    """

    bits: Words
    values: Tensor | None
    looks: bool

    def product(self, turned: Tensor, bias: Tensor | None, limits: Limits) -> Tensor:
        """``rows @ turned + bias``."""
        if self.looks:
            return looked_up(self.bits, turned, limits, bias)
        return added_rows(self.bits, turned, limits, bias, self.values)

    def adjoint(self, grad: Tensor, limits: Limits) -> Tensor:
        """``grad.T @ rows``."""
        bits = self.bits.turned(limits.wake)
        if self.looks:
            return looked_up(bits, grad, limits).t()
        values = None if self.values is None else self.values.t()
        return added_rows(bits, grad, limits, None, values).t()


@dataclass(frozen=True, eq=False)
class LinearUse:
    """One linear layer, and where it remembers what it has decided."""

    node: str
    memo: Memo
    limits: Limits

    def __call__(self, op: Linear, xs: Mapping[str, Tensor | Packed], params: Mapping[str, Tensor]) -> Tensor:
        x, weight, bias = xs["x"], params["weight"], params.get("bias")
        if isinstance(x, Packed):
            return x.product(self._turned(weight), bias, self.limits)
        wanted = any(tensor.requires_grad for tensor in (x, *params.values()))
        if not (wanted and torch.is_grad_enabled()):
            return self.forward(op, x, self.pack(op, x), weight, bias)
        return recorded(self, op, x, params)

    def forward(
        self, op: Linear, x: Tensor, packed: Packed | None, weight: Tensor, bias: Tensor | None
    ) -> Tensor:
        """``[..., K]`` -> ``[..., O]``."""
        if packed:
            y = packed.product(self._turned(weight), bias, self.limits)
        else:
            rows = x.reshape(-1, op.in_features)
            y = empty(len(rows), op.out_features, dtype=x.dtype, reuse=self.limits.reuse)
            _dense(rows, weight, bias, y)
        return y.view(*x.shape[:-1], op.out_features)

    def adjoint(
        self,
        op: Linear,
        xs: Mapping[str, Tensor | Packed],
        params: Mapping[str, Tensor],
        grad: Tensor,
        wanted: frozenset[str],
        *,
        out: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """See `snnhw.tensors.network.Differentiated`."""
        weight, sums = params["weight"], grad.reshape(-1, op.out_features)
        found = {}
        if "weight" in wanted:
            found["weight"] = self._weight_adjoint(op, xs["x"], sums)
        if "bias" in wanted:
            found["bias"] = sums.sum(0)
        if "x" in wanted:  # last, as it may go where x is
            shape = (len(sums), op.in_features)
            to = empty(*shape, dtype=grad.dtype, reuse=self.limits.reuse) if out is None else out.view(shape)
            found["x"] = torch.mm(sums, weight, out=to).view(*grad.shape[:-1], op.in_features)
        return found

    def _weight_adjoint(self, op: Linear, x: Tensor | Packed, sums: Tensor) -> Tensor:
        read = x if isinstance(x, Packed) else self.pack(op, x) or x
        if isinstance(read, Packed):
            return read.adjoint(sums.contiguous(), self.limits)
        return sums.t() @ read.reshape(-1, op.in_features)

    def pack(self, op: Linear, x: Tensor) -> Packed | None:
        """The rows as bits; None where the product is dense."""
        rows = x.reshape(-1, op.in_features)
        way = self.way(op, rows)
        if way == "dense":
            return None
        rows = rows.contiguous()
        bits, binary = pack(rows, self.limits.wake)
        if way == "lookup":
            return Packed(bits, None, looks=True) if binary else None
        return Packed(bits, None if binary else rows, looks=False)

    def way(self, op: Linear, rows: Tensor) -> Way:
        """How the product runs; silence decides nothing."""
        way = self.limits.way or self.memo.chosen.get(self.node)
        if way is None:
            density, binary = seen(rows)
            if not density:
                return "dense"
            ways: tuple[Way, ...] = ("skip", "lookup") if binary else ("skip",)
            sizes = (len(rows), op.in_features, op.out_features)
            way = self.memo.chosen[self.node] = costs_here().cheapest(
                ways, *sizes, density, kept=self.memo.lasting
            )
        return cast("Way", way)

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
