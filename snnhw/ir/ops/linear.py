"""The dense product."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from snnhw.errors import ProgramError
from snnhw.ir.ops.base import Op, Shape, is_size, need, op
from snnhw.ir.params import ParamSpec

__all__ = ["Linear"]


@op
@dataclass(frozen=True)
class Linear(Op):
    """``y = x W^T + b`` over the last axis; W is ``[out_features, in_features]``."""

    in_features: int
    out_features: int
    bias: bool = True

    def check(self) -> None:
        need(self, is_size(self.in_features), "in_features", "a positive integer")
        need(self, is_size(self.out_features), "out_features", "a positive integer")

    def params(self) -> Mapping[str, ParamSpec]:
        weight = ParamSpec((self.out_features, self.in_features), fan_in=self.in_features)
        bias = ParamSpec((self.out_features,), fan_in=self.in_features)
        return {"weight": weight, "bias": bias} if self.bias else {"weight": weight}

    def infer(self, shapes: Mapping[str, Shape]) -> Mapping[str, Shape]:
        x = shapes["x"]
        if not x or x[-1] != self.in_features:
            raise ProgramError(f"Linear takes (..., {self.in_features}), not {x}; is a Flatten missing?")
        return {"y": (*x[:-1], self.out_features)}

    def summary(self) -> str:
        return f"Linear({self.in_features}, {self.out_features}{'' if self.bias else ', bias=False'})"
