"""Ops that scale values: by weights of their own, or by how large they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, prod

from snnhw.errors import ProgramError
from snnhw.ir.checks import is_number
from snnhw.ir.expr import sqrt, var
from snnhw.ir.frozen import FrozenMap
from snnhw.ir.ops.across import Sum
from snnhw.ir.ops.base import Op, Parts, Shape, is_shape, need, op, part
from snnhw.ir.ops.neuron import Pointwise
from snnhw.ir.ops.parameter import as_signal
from snnhw.ir.ops.shape import Reshape
from snnhw.ir.params import Param, ParamSpec

__all__ = ["LayerNorm", "Scale"]


@op
@dataclass(frozen=True)
class Scale(Op):
    """``y = weight * x``, element by element.

    Attributes:
        shape: of the weight: ``()`` for one number, else the rank of the sample with 1 where it is shared,
            such as ``(C, 1, 1)`` for one number per channel.
    """

    shape: Shape = ()

    def check(self) -> None:
        need(self, is_shape(self.shape), "shape", "a tuple of positive integers")

    def params(self) -> Mapping[str, ParamSpec]:
        return {"weight": ParamSpec(self.shape, default=1.0)}

    def infer(self, shapes: Mapping[str, Shape]) -> Mapping[str, Shape]:
        x = shapes["x"]
        same_rank = len(x) == len(self.shape)
        if self.shape and not (
            same_rank and all(w in (1, size) for w, size in zip(self.shape, x, strict=True))
        ):
            raise ProgramError(
                f"{self.summary()} does not fit values of shape {x}; give (), or {len(x)} axes of which each "
                "is 1 or the value's"
            )
        return {"y": x}

    def parts(self, shapes: Mapping[str, Shape]) -> Parts:  # the weight has a rank that fits
        scaled = Pointwise(
            FrozenMap({"y": var("weight") * var("x")}),
            parameters=(Param("weight", 1.0),),
            param_shapes=FrozenMap({"weight": self.shape}),
        )
        return {"": part(scaled, x="x")}

    def summary(self) -> str:
        return f"Scale({self.shape})"


@op
@dataclass(frozen=True)
class LayerNorm(Op):
    """``y = (x - mean) / sqrt(variance + eps) * weight + bias``, mean and variance over the last axes of each
    sample (Ba et al., arXiv:1607.06450); the variance is the mean square, as torch has it.

    Attributes:
        shape: the last axes, and the shape of weight and bias.
        affine: whether there is a weight; bias: whether there is a bias, too.
    """

    shape: Shape
    eps: float = 1e-5
    affine: bool = True
    bias: bool = True

    def check(self) -> None:
        need(self, is_shape(self.shape) and bool(self.shape), "shape", "a tuple of positive integers")
        need(self, is_number(self.eps) and 0 < self.eps < inf, "eps", "a number greater than 0")
        need(self, self.affine or not self.bias, "bias", "False, where affine is False")

    def params(self) -> Mapping[str, ParamSpec]:
        weight, bias = ParamSpec(self.shape, default=1.0), ParamSpec(self.shape, default=0.0)
        return {
            **({"weight": weight} if self.affine else {}),
            **({"bias": bias} if self.bias else {}),
        }

    def infer(self, shapes: Mapping[str, Shape]) -> Mapping[str, Shape]:
        x = shapes["x"]
        if x[-len(self.shape) :] != self.shape:
            raise ProgramError(f"LayerNorm takes (..., {', '.join(map(str, self.shape))}), not {x}")
        return {"y": x}

    def parts(self, shapes: Mapping[str, Shape]) -> Parts:
        """Rows, each less its mean, over its deviation; weight and bias broadcast from the right."""
        x, count = shapes["x"], float(prod(self.shape))
        lead = x[: -len(self.shape)]
        centred = var("x") - var("total") / count
        deviation = sqrt(var("squares") / count + self.eps)
        found = {
            "rows": part(Reshape((*lead, prod(self.shape))), x="x"),
            "sum": part(Sum(), x="rows.y"),
            "total": part(Reshape((*lead, 1)), x="sum.y"),
            "centred": part(
                Pointwise(FrozenMap({"y": centred, "square": centred * centred}), ("x", "total")),
                x="rows.y",
                total="total.y",
            ),
            "spread": part(Sum(), x="centred.square"),
            "squares": part(Reshape((*lead, 1)), x="spread.y"),
            "normal": part(
                Pointwise(FrozenMap({"y": var("x") / deviation}), ("x", "squares")),
                x="centred.y",
                squares="squares.y",
            ),
        }
        back = part(Reshape(x), x="normal.y")
        weights = list(self.params())
        if not weights:
            return {**found, "": back}
        y = var("x") * var("weight")
        y = y + var("bias") if self.bias else y
        affine = part(
            Pointwise(FrozenMap({"y": y}), ("x", *weights)), x="back.y", **{w: f"{w}.y" for w in weights}
        )
        return {**found, "back": back, **{w: as_signal(self, w) for w in weights}, "": affine}

    def summary(self) -> str:
        usual = {"eps": 1e-5, "affine": True, "bias": True}
        extra = [f"{name}={getattr(self, name)}" for name in usual if getattr(self, name) != usual[name]]
        return f"LayerNorm({', '.join([str(self.shape), *extra])})"
