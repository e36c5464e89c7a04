"""Torch's functions of one element at a time, as equations."""

from __future__ import annotations

from collections.abc import Callable

from snnhw.errors import CaptureError
from snnhw.ir import Expr, FrozenMap, Pointwise, expr, var
from snnhw.nn.capture.signals import Converted, Signal

__all__ = [
    "clamp",
    "elu",
    "exp",
    "hardtanh",
    "leaky_relu",
    "magnitude",
    "negative",
    "relu",
    "relu6",
    "sigmoid",
    "silu",
    "square",
    "tanh",
]

X = var("x")


def _applied(x: Signal, y: Expr) -> Converted:
    return Converted(Pointwise(FrozenMap({"y": y})), {"x": (x.port,)})


def _unary(y: Expr) -> Callable[..., Converted]:
    def convert(x: Signal, inplace: bool = False) -> Converted:  # noqa: ARG001  # a program has no places
        return _applied(x, y)

    return convert


exp = _unary(expr.exp(X))
magnitude = _unary(abs(X))
negative = _unary(-X)
relu = _unary(expr.maximum(X, 0.0))
relu6 = _unary(expr.minimum(expr.maximum(X, 0.0), 6.0))
sigmoid = _unary(expr.sigmoid(X))
silu = _unary(X * expr.sigmoid(X))
square = _unary(X * X)
tanh = _unary(expr.tanh(X))


def leaky_relu(x: Signal, negative_slope: float = 0.01, inplace: bool = False) -> Converted:  # noqa: ARG001  # as above
    """`torch.nn.functional.leaky_relu`; the slope at 0 is that of negative numbers."""
    return _applied(x, expr.where(expr.greater(X, 0.0), X, negative_slope * X))


def elu(x: Signal, alpha: float = 1.0, inplace: bool = False) -> Converted:  # noqa: ARG001  # as above
    """`torch.nn.functional.elu`; exp sees no large number, which it could not hold."""
    below = expr.exp(expr.minimum(0.0, X)) - 1.0
    return _applied(x, expr.where(expr.greater(X, 0.0), X, alpha * below))


def hardtanh(x: Signal, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Converted:  # noqa: ARG001  # as above
    """`torch.nn.functional.hardtanh`, which passes no gradient at its bounds."""
    return _applied(x, expr.minimum(expr.maximum(X, min_val), max_val))


def clamp(x: Signal, min: float | None = None, max: float | None = None) -> Converted:  # noqa: A002  # torch's names
    """`torch.clamp` by numbers, which passes gradients at its bounds."""
    for bound in (min, max):
        if bound is not None and (isinstance(bound, bool) or not isinstance(bound, (int, float))):
            raise CaptureError("clamp takes numbers for its bounds")
    if min is None and max is None:
        raise CaptureError("clamp takes a lower bound, an upper one, or both")
    if min is not None and max is not None:
        return _applied(x, expr.clamp(X, min, max))
    # From the one bound, with the bound as the first operand: at a tie the gradient passes.
    return _applied(x, expr.maximum(min, X) if min is not None else expr.minimum(max or 0.0, X))
