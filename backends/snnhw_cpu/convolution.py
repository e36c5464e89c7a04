"""Convolutions: torch's own, or lookups where images are of 0 and 1 and that pays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from snnhw.ir import Conv2d
from snnhw.tensors.network import ADJOINTS, OPERATIONS, Memo
from snnhw_cpu.costs import costs_here, seen
from snnhw_cpu.limits import USUAL, Limits
from snnhw_cpu.lookup.images import Rows, convolved, fits, pack_images, tile, weight_adjoint
from snnhw_cpu.recorded import recorded

__all__ = ["ConvLayer", "ConvUse"]


@dataclass(frozen=True)
class ConvLayer:
    """Any convolution of images; where the limits name no way, what the first product costs decides."""

    limits: Limits = USUAL

    @property
    def ways(self) -> tuple[str, ...]:
        """Those that are left to choose from."""
        return () if self.limits.way else ("dense", "lookup")

    def at(self, node: str, memo: Memo) -> ConvUse:
        """One convolution of a program."""
        return ConvUse(node, memo, self.limits)


@dataclass(frozen=True, eq=False)
class ConvUse:
    """One convolution, and where it remembers what it has decided."""

    node: str
    memo: Memo
    limits: Limits

    def __call__(self, op: Conv2d, xs: Mapping[str, Tensor | Rows], params: Mapping[str, Tensor]) -> Tensor:
        x = xs["x"]
        if isinstance(x, Tensor):
            wanted = any(tensor.requires_grad for tensor in (x, *params.values()))
            if wanted and torch.is_grad_enabled():
                return recorded(self, op, x, params)
            x = self.pack(op, x) or x
        if isinstance(x, Tensor):
            return OPERATIONS[Conv2d](op, {"x": x}, params)
        return convolved(op, x, self._turned(params["weight"]), params.get("bias"), self.limits)

    def adjoint(
        self,
        op: Conv2d,
        xs: Mapping[str, Tensor | Rows],
        params: Mapping[str, Tensor],
        grad: Tensor,
        wanted: frozenset[str],
        *,
        out: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """See `snnhw.tensors.network.Differentiated`; what reaches x is no spike, and its product dense."""
        x, found = xs["x"], {}
        if isinstance(x, Tensor) and "weight" in wanted:
            x = self.pack(op, x) or x
        if isinstance(x, Rows):
            if "weight" in wanted:
                found["weight"] = weight_adjoint(op, x, grad.contiguous(), self.limits)
            if "bias" in wanted:  # for which oneDNN would compute the weight's, too
                found["bias"] = grad.sum((0, 2, 3))
            wanted &= {"x"}
            x = grad.new_empty(*x.words.shape, x.width) if out is None else out  # whose shape alone is read
        return found | (ADJOINTS[Conv2d](op, {"x": x}, params, grad, wanted, out=out) if wanted else {})

    def pack(self, op: Conv2d, x: Tensor) -> Rows | None:
        """Images as bits; None where the product is dense."""
        if not (fits(op, x.shape[-1]) and self._looks(op, x)):
            return None
        rows, binary = pack_images(x.contiguous(), self.limits.wake)
        return rows if binary else None

    def _looks(self, op: Conv2d, x: Tensor) -> bool:
        """Whether sums are looked up; silence decides nothing."""
        way = self.limits.way or self.memo.chosen.get(self.node)
        if way is None:
            density, binary = seen(x.flatten(1))
            if not density:
                return False
            pays = binary and costs_here().looks_up_windows(op, tuple(x.shape), tile(x.dtype))
            way = self.memo.chosen[self.node] = "lookup" if pays else "dense"
        return way == "lookup"

    def _turned(self, weight: Tensor) -> Tensor:
        """``[C, KH, KW, O]``."""
        if self.node not in self.memo.derived:
            self.memo.derived[self.node] = weight.detach().permute(1, 2, 3, 0).contiguous()
        return self.memo.derived[self.node]
