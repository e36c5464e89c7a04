"""The dense product with weights of few bits, to be trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from snnhw.errors import ProgramError
from snnhw.ir.expr import Expr, Operand, floor, graft, greater, maximum, minimum, var, where
from snnhw.ir.frozen import FrozenMap
from snnhw.ir.ops.across import MatMul
from snnhw.ir.ops.base import Op, Parts, Shape, is_size, need, op, part
from snnhw.ir.ops.neuron import Pointwise
from snnhw.ir.ops.parameter import as_signal
from snnhw.ir.ops.shape import Reshape
from snnhw.ir.params import Param, ParamSpec

__all__ = ["RoundedLinear"]


@op
@dataclass(frozen=True)
class RoundedLinear(Op):
    """``y = x W^T`` over vectors, where W is the weight on a grid of integers:
    ``W = clip(step floor(scale weight / step + 1/2), low, high) / scale``.

    Gradients go straight through the rounding: the weight's is W's where it lies within the grid, and 0
    beyond. Its parameter ``scale``, ``[out_features, 1]``, takes none.

    Attributes:
        in_features: width of x; out_features: of y.
        low, high: the smallest and largest integer.
        step: between two of them.
    """

    in_features: int
    out_features: int
    low: int = -128
    high: int = 127
    step: int = 1

    def check(self) -> None:
        for name in ("in_features", "out_features", "step"):
            need(self, is_size(getattr(self, name)), name, "a whole number, 1 or more")
        sound = type(self.low) is int and type(self.high) is int and self.low < self.high
        need(self, sound, "low", f"a whole number below high, {self.high}")

    def params(self) -> Mapping[str, ParamSpec]:
        weight = ParamSpec((self.out_features, self.in_features), fan_in=self.in_features)
        return {"weight": weight, "scale": ParamSpec((self.out_features, 1), default=64.0)}

    def infer(self, shapes: Mapping[str, Shape]) -> Mapping[str, Shape]:
        if shapes["x"] != (self.in_features,):
            raise ProgramError(f"RoundedLinear takes ({self.in_features},), not {shapes['x']}")
        return {"y": (self.out_features,)}

    def parts(self, shapes: Mapping[str, Shape]) -> Parts:
        scale = Param("scale", 64.0)
        rounding = Pointwise(
            FrozenMap({"y": self._rounded(var("x"), var(scale.name))}),
            parameters=(scale,),
            param_shapes=FrozenMap({scale.name: (self.out_features, 1)}),
            keys=FrozenMap({scale.name: scale.name}),
        )
        return {
            "weight": as_signal(self, "weight"),
            "rounded": part(rounding, x="weight.y"),
            "column": part(Reshape((self.in_features, 1)), x="x"),
            "product": part(MatMul(), a="rounded.y", b="column.y"),
            "": part(Reshape((self.out_features,)), x="product.y"),
        }

    def _rounded(self, weight: Expr, scale: Expr) -> Expr:
        low, high, step = float(self.low), float(self.high), float(self.step)
        whole = step * floor(weight * scale / step + 0.5)
        within: Operand = where(
            greater(low, weight * scale), 0.0, where(greater(weight * scale, high), 0.0, 1.0)
        )
        return graft(minimum(maximum(whole, low), high) / scale, {weight: within})

    def summary(self) -> str:
        grid = f"{self.low} to {self.high}" + (f" by {self.step}" if self.step > 1 else "")
        return f"RoundedLinear({self.in_features}, {self.out_features}), weights {grid}"
