"""Maximum over windows of images, keeping one byte for each window.

Torch keeps the whole input and eight bytes for each window, and looks at one number at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any, Final

import torch
from torch import Tensor

from snnhw.ir import MaxPool2d
from snnhw.tensors.autograd import Function, only_once
from snnhw_cpu.kernel import Kernel, compiled
from snnhw_cpu.limits import USUAL, Limits
from snnhw_cpu.memory import empty
from snnhw_cpu.threads import share

__all__ = ["MaxPool", "pools"]

TWICE: Final = (
    "a pool that keeps one byte for each window has a derivative that has none; where it is needed, take "
    "torch's own: option paths=pools:torch"
)

HEAD: Final = """\
from numba import carray
from snnhw_cpu.compiling import cfunc


@cfunc("void(intp, intp, intp, intp, intp, intp, intp, {pointers})", error_model="numpy")
def {name}(first, last, P, H, W, h, w, x_at, y_at, at_at):
    x = carray(x_at, (P, H, W))
    y = carray(y_at, (P, h, w))
    at = carray(at_at, (P, h, w))
    for p in range(first, last):
"""


def pools(op: MaxPool2d) -> bool:
    """Whether a pool of this kind runs here: windows inside the image, few enough places for a byte."""
    return not any(op.padding) and op.kernel[0] * op.kernel[1] <= 255


@dataclass(frozen=True)
class MaxPool:
    """``[M, C, H, W]`` -> ``[M, C, h, w]``."""

    limits: Limits = USUAL

    def __call__(self, op: MaxPool2d, xs: Mapping[str, Tensor], _: Mapping[str, Tensor]) -> Tensor:
        found: Tensor = _MaxPool.apply(self, op, xs["x"])
        return found

    def keep(self, op: MaxPool2d, x: Tensor) -> tuple[Tensor, Tensor]:
        """The pooled images, and for each window the place that its number came from."""
        x = x.contiguous()
        shape = (len(x), *op.infer({"x": tuple(x.shape[1:])})["y"])
        y, at = self._new(*shape, dtype=x.dtype), self._new(*shape, dtype=torch.uint8)
        _run("forward", op, self.limits, x, y, at)
        return y, at

    def back(self, op: MaxPool2d, kept: Tensor, grad: Tensor, shape: tuple[int, ...]) -> Tensor:
        d_x = self._new(*shape, dtype=grad.dtype)
        _run("backward", op, self.limits, d_x, grad.contiguous(), kept)
        return d_x

    def _new(self, *shape: int, dtype: torch.dtype) -> Tensor:
        return empty(*shape, dtype=dtype, reuse=self.limits.reuse)


class _MaxPool(Function):
    @staticmethod
    def forward(ctx: Any, layer: MaxPool, op: MaxPool2d, x: Tensor) -> Tensor:
        y, at = layer.keep(op, x)
        ctx.layer, ctx.op, ctx.shape = layer, op, tuple(x.shape)
        ctx.save_for_backward(at)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        (at,) = ctx.saved_tensors
        with torch.no_grad():
            found = ctx.layer.back(ctx.op, at, grad, ctx.shape)
        return None, None, *only_once([found], TWICE)


def _run(name: str, op: MaxPool2d, limits: Limits, *tensors: Tensor) -> None:
    """One pass over all planes: the image, the pooled one, and where its numbers came from."""
    image, pooled, at = tensors
    written = {"forward": [pooled, at], "backward": [image]}[name]
    sizes = (*image.shape[-2:], *pooled.shape[-2:])
    kernel = _kernel(name, op, str(image.dtype).removeprefix("torch."))
    planes = image.shape[0] * image.shape[1]
    pointers = [tensor.data_ptr() for tensor in tensors]
    share(
        kernel.call,
        planes,
        (planes, *sizes, *pointers),
        cost=image.numel(),
        wake=limits.wake,
        reads=[x for x in tensors if all(x is not other for other in written)],
        writes=written,
    )


@lru_cache(maxsize=256)
def _kernel(name: str, op: MaxPool2d, dtype: str) -> Kernel:
    pointers = f"CPointer({dtype}), CPointer({dtype}), CPointer(uint8)"
    lines = _BODY[name](op)
    body = "".join(f"        {line}\n" for line in lines)
    return compiled(HEAD.format(pointers=pointers, name=name) + body, name)


def _forward(op: MaxPool2d) -> list[str]:
    """The first of the largest, as torch has it; whatever is not a number wins."""
    first, *others = _places(op)
    lines = [f"v = {first}", "b = 0"]
    for number, place in enumerate(others, start=1):
        lines += [f"u = {place}", "take = u > v or u != u", f"b = {number} if take else b"]
        lines += ["v = u if take else v"]
    return [
        "for i in range(h):",
        *(f"    x{a} = x[p, i * {op.stride[0]} + {a}]" for a in range(op.kernel[0])),
        "    y_ = y[p, i]",
        "    at_ = at[p, i]",
        "    for j in range(w):",
        *(f"        {line}" for line in [*lines, "y_[j] = v", "at_[j] = b"]),
    ]


def _places(op: MaxPool2d) -> list[str]:
    """The numbers of one window, row by row."""
    rows, columns = map(range, op.kernel)
    return [f"x{a}[j * {op.stride[1]} + {c}]" for a, c in product(rows, columns)]


def _backward(op: MaxPool2d) -> list[str]:
    """Each gradient to the place that its window's number came from."""
    return [
        "x[p] = 0",
        "for i in range(h):",
        "    for j in range(w):",
        f"        k = i * {op.stride[0]} + at[p, i, j] // {op.kernel[1]}",
        f"        l = j * {op.stride[1]} + at[p, i, j] % {op.kernel[1]}",
        "        x[p, k, l] += y[p, i, j]",
    ]


_BODY: Final = {"forward": _forward, "backward": _backward}
