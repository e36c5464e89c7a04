"""The product of a memory that saturates: sums whose order counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from snnhw.errors import ProgramError
from snnhw.ir.ops.base import Op, Shape, is_size, need, op
from snnhw.ir.params import ParamSpec

__all__ = ["SaturatingLinear"]


@op
@dataclass(frozen=True)
class SaturatingLinear(Op):
    """What a state of so many bits is after all inputs have been added to it, one after the other.

    ``y = start``, then for every input i in order ``y = saturate(y + weight[:, i] * x[i])``: an input that
    spikes several times adds as often, which comes to the same.

    Attributes:
        in_features: width of ``x``; out_features: of ``start`` and ``y``.
        bits: of the state, in two's complement.
    """

    whole_only: ClassVar[bool] = True
    any_port_tells: ClassVar[bool] = True  # its own shape is known

    in_features: int
    out_features: int
    bits: int = 16

    def check(self) -> None:
        for name in ("in_features", "out_features"):
            need(self, is_size(getattr(self, name)), name, "a whole number, 1 or more")
        need(self, is_size(self.bits, 2) and self.bits <= 32, "bits", "a whole number from 2 to 32")

    @property
    def in_ports(self) -> tuple[str, ...]:
        return ("x", "start")

    def params(self) -> Mapping[str, ParamSpec]:
        return {"weight": ParamSpec((self.out_features, self.in_features), fan_in=self.in_features)}

    def infer(self, shapes: Mapping[str, Shape]) -> Mapping[str, Shape]:
        for port, wanted in (("x", (self.in_features,)), ("start", (self.out_features,))):
            if port in shapes and shapes[port] != wanted:
                raise ProgramError(f"{port} has shape {shapes[port]}; accepted: {wanted}")
        return {"y": (self.out_features,)}

    def summary(self) -> str:
        return f"SaturatingLinear {self.in_features} -> {self.out_features}, {self.bits} bits"
