"""Linear layers that skip zeros: rows of the weight are added up for the inputs that are not zero.

A dense product touches every weight for every sample; at the few percent of active inputs that
spiking layers have, adding up rows touches far fewer. The sums are formed in another order than a dense
product's, so which of the two runs is decided once, at a layer's first call, and `deterministic=True`
keeps to the dense one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional as F

from snnhw.ir import Linear
from snnhw.tensors.network import ADJOINTS
from snnhw_cpu.kernel import Kernel, compiled
from snnhw_cpu.memory import room
from snnhw_cpu.threads import share

__all__ = ["COSTS", "Costs", "EventLinear", "product"]

SOURCE: Final = '''\
import numpy as np
from numba import carray, cfunc

F = np.{dtype}


@cfunc("void(intp, intp, intp, intp, intp, {pointers})", error_model="numpy", cache=True)
def forward(first, last, M, K, O, x_at, w_at, y_at):
    """y[m] += x[m, k] * w[k] for the rows first..last of M."""
    x = carray(x_at, (M, K))
    w = carray(w_at, (K, O))
    y = carray(y_at, (M, O))
    active = np.empty(K, np.int32)
    for m in range(first, last):
        row = x[m]
        count = 0
        for k in range(K):
            active[count] = k
            count += row[k] != F(0.0)
        out = y[m]
        fours = count - count % 4
        for j in range(0, fours, 4):  # four at a time: a quarter of the trips to the output row
            a, b, c, d = active[j], active[j + 1], active[j + 2], active[j + 3]
            va, vb, vc, vd = row[a], row[b], row[c], row[d]
            la, lb, lc, ld = w[a], w[b], w[c], w[d]
            for o in range(O):
                out[o] += (va * la[o] + vb * lb[o]) + (vc * lc[o] + vd * ld[o])
        for j in range(fours, count):
            k = active[j]
            value = row[k]
            line = w[k]
            for o in range(O):
                out[o] += value * line[o]


@cfunc("void(intp, intp, intp, intp, intp, {pointers})", error_model="numpy", cache=True)
def weight(first, last, M, K, O, x_at, g_at, d_at):
    """d[k] += x[m, k] * g[m] for the inputs first..last of K."""
    x = carray(x_at, (M, K))
    g = carray(g_at, (M, O))
    d = carray(d_at, (K, O))
    active = np.empty(K, np.int32)
    for m in range(M):
        row = x[m]
        count = 0
        for k in range(first, last):
            active[count] = k
            count += row[k] != F(0.0)
        line = g[m]
        for j in range(count):
            k = active[j]
            value = row[k]
            out = d[k]
            for o in range(O):
                out[o] += value * line[o]
'''


@dataclass(frozen=True)
class Costs:
    """Seconds per unit of work, relative to a dense multiply-add; measured by `benchmarks.events`.

    Attributes:
        look: asking one input whether it is zero.
        add: one multiply-add of an active input's row.
        turn: moving one weight when the matrix is transposed.
    """

    look: float
    add: float
    turn: float

    def wins(self, rows: int, inputs: int, outputs: int, density: float) -> bool:
        """Whether skipping zeros should take at most 0.8 of the dense time."""
        work = rows * inputs * (self.look + density * outputs * self.add) + inputs * outputs * self.turn
        return work < 0.8 * rows * inputs * outputs


COSTS: Final = Costs(look=64.0, add=8.3, turn=98.0)


class EventLinear:
    """One linear layer of a program; decides at its first call."""

    def __init__(self) -> None:
        self.skips: bool | None = None
        self._turned: tuple[tuple[int, int], Tensor] | None = None

    def __call__(self, op: Linear, xs: Mapping[str, Tensor], params: Mapping[str, Tensor]) -> Tensor:
        x = xs["x"]
        weight, bias = params["weight"], params.get("bias")
        rows = x.reshape(-1, op.in_features)
        if self.skips is None and rows.shape[0]:
            density = float(torch.count_nonzero(rows)) / rows.numel()
            self.skips = COSTS.wins(rows.shape[0], op.in_features, op.out_features, density)
        if not self.skips:
            return F.linear(x, weight, bias)
        y = product(rows, weight, self._transpose(weight))
        y = y if bias is None else y + bias
        return y.reshape(*x.shape[:-1], op.out_features)

    def adjoint(
        self,
        op: Linear,
        xs: Mapping[str, Tensor],
        params: Mapping[str, Tensor],
        grad: Tensor,
        wanted: frozenset[str],
    ) -> dict[str, Tensor]:
        """See `snnhw.tensors.network.Differentiated`."""
        skipping = self.skips and "weight" in wanted
        found = ADJOINTS[Linear](op, xs, params, grad, wanted - {"weight"} if skipping else wanted)
        if skipping:
            rows, sums = xs["x"].flatten(0, -2).contiguous(), grad.flatten(0, -2).contiguous()
            found["weight"] = _weight_adjoint(rows, sums)
        return found

    def _transpose(self, weight: Tensor) -> Tensor:
        """``[K, O]``, kept until the weight changes."""
        key = (weight.data_ptr(), weight._version)
        if self._turned is None or self._turned[0] != key:
            self._turned = key, weight.detach().t().contiguous()
        return self._turned[1]


def product(x: Tensor, weight: Tensor, turned: Tensor) -> Tensor:
    """``x @ weight.T``, skipping zeros of x; ``turned`` is the transposed weight, contiguous."""
    found: Tensor = _EventProduct.apply(x, weight, turned)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return found


class _EventProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, turned: Tensor) -> Tensor:
        x = x.contiguous()
        ctx.save_for_backward(x, weight)
        (rows, inputs), outputs = x.shape, weight.shape[0]
        y = x.new_zeros(rows, outputs)
        _run("forward", rows, (rows, inputs, outputs), x, turned, y)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        grad = grad.contiguous()
        d_x = None
        if ctx.needs_input_grad[0]:
            d_x = torch.mm(grad, weight, out=room(*x.shape, dtype=x.dtype))
        d_weight = None
        if ctx.needs_input_grad[1]:
            d_weight = _weight_adjoint(x, grad)
        return d_x, d_weight, None


def _weight_adjoint(x: Tensor, grad: Tensor) -> Tensor:
    """``grad.T @ x`` of contiguous rows, skipping zeros of x."""
    (rows, inputs), outputs = x.shape, grad.shape[1]
    turned = x.new_zeros(inputs, outputs)
    _run("weight", inputs, (rows, inputs, outputs), x, grad, turned)
    return turned.t()


def _run(name: str, tasks: int, sizes: tuple[int, int, int], *tensors: Tensor) -> None:
    kernel = _kernel(name, str(tensors[0].dtype).removeprefix("torch."))
    pointers = [tensor.data_ptr() for tensor in tensors]
    share(lambda first, last: kernel(first, last, *sizes, *pointers), tasks, cost=sizes[0] * sizes[1] * 4)


@lru_cache(maxsize=8)
def _kernel(name: str, dtype: str) -> Kernel:
    pointers = ", ".join([f"CPointer({dtype})"] * 3)
    return compiled(SOURCE.format(dtype=dtype, pointers=pointers), name)
