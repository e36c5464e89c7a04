"""Parameters among the signals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from snnhw.ir.checks import is_number
from snnhw.ir.frozen import FrozenMap
from snnhw.ir.ops.base import Op, Part, Shape, is_shape, is_size, need, op, part
from snnhw.ir.params import ParamSpec

__all__ = ["Parameter", "as_signal"]


@op
@dataclass(frozen=True)
class Parameter(Op):
    """A parameter as a signal, ``y = value``: for ops that are of signals alone, such as `MatMul`. Of what
    arrives only the number of samples counts; no gradient passes it.

    Attributes:
        shape: of the parameter, and of each sample of the signal.
        default, fan_in: what it starts from, as in `ParamSpec`.
    """

    any_port_tells: ClassVar[bool] = True

    shape: Shape
    default: float | None = 0.0
    fan_in: int = 0

    def check(self) -> None:
        need(self, is_shape(self.shape), "shape", "a tuple of positive integers")
        sound = self.default is None or is_number(self.default)
        need(self, sound, "default", "a finite number, or None where the user has to say")
        need(self, is_size(self.fan_in, 0), "fan_in", "a number of terms, or 0 to start from the default")

    def params(self) -> Mapping[str, ParamSpec]:
        return {"value": ParamSpec(self.shape, default=self.default, fan_in=self.fan_in)}

    def infer(self, shapes: Mapping[str, Shape]) -> Mapping[str, Shape]:  # any will do
        return {"y": self.shape}

    def summary(self) -> str:
        return f"Parameter({self.shape})"


def as_signal(whole: Op, name: str) -> Part:
    """A weight of the whole as a signal, by its port ``x``."""
    spec = whole.params()[name]
    made = Parameter(spec.shape, spec.default, spec.fan_in, keys=FrozenMap({"value": name}))
    return part(made, x="x")
