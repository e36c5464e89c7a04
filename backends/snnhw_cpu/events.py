"""Products that skip zeros: rows of the weight are added up for the inputs that are not zero.

A dense product touches every weight for every sample; at the few percent of active inputs that
spiking layers have, adding up rows touches far fewer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from torch import Tensor

from snnhw_cpu.kernel import Kernel, compiled
from snnhw_cpu.limits import Limits
from snnhw_cpu.memory import empty
from snnhw_cpu.threads import share

__all__ = ["COSTS", "Costs", "product", "weight_adjoint"]

SOURCE: Final = '''\
import numpy as np
from numba import carray
from snnhw_cpu.compiling import cfunc

F = np.{dtype}


@cfunc("void(intp, intp, intp, intp, intp, {pointers})", error_model="numpy")
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


@cfunc("void(intp, intp, intp, intp, intp, {pointers})", error_model="numpy")
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


def product(x: Tensor, turned: Tensor, limits: Limits) -> Tensor:
    """``x @ turned`` of contiguous rows ``[M, K]`` and ``[K, O]``, skipping zeros of x."""
    (rows, inputs), outputs = x.shape, turned.shape[1]
    y = empty(rows, outputs, dtype=x.dtype, reuse=limits.reuse).zero_()
    _run("forward", rows, (rows, inputs, outputs), limits, x, turned, y)
    return y


def weight_adjoint(x: Tensor, grad: Tensor, limits: Limits) -> Tensor:
    """``grad.T @ x`` of contiguous rows, skipping zeros of x."""
    (rows, inputs), outputs = x.shape, grad.shape[1]
    turned = x.new_zeros(inputs, outputs)
    _run("weight", inputs, (rows, inputs, outputs), limits, x, grad, turned)
    return turned.t()


def _run(name: str, tasks: int, sizes: tuple[int, int, int], limits: Limits, *tensors: Tensor) -> None:
    kernel = _kernel(name, str(tensors[0].dtype).removeprefix("torch."))
    pointers = [tensor.data_ptr() for tensor in tensors]
    cost = sizes[0] * sizes[1] * 4
    share(
        lambda first, last: kernel(first, last, *sizes, *pointers),
        tasks,
        cost=cost,
        wake=limits.wake,
        held=tensors,
    )


@lru_cache(maxsize=8)
def _kernel(name: str, dtype: str) -> Kernel:
    pointers = ", ".join([f"CPointer({dtype})"] * 3)
    return compiled(SOURCE.format(dtype=dtype, pointers=pointers), name)
