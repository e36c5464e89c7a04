"""Where arrays enter and leave a program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from snnhw.ir.ops.base import Op, Shape, is_shape, need, op

__all__ = ["Input", "Output"]


@op
@dataclass(frozen=True)
class Input(Op):
    """A named input of the program: ``[T, B, *shape]``, or ``[B, *shape]`` when static."""

    shape: Shape

    def check(self) -> None:
        accepted = "a tuple of positive integers, without the time and batch axes"
        need(self, is_shape(self.shape), "shape", accepted)

    @property
    def in_ports(self) -> tuple[str, ...]:
        return ()

    def infer(self, shapes: Mapping[str, Shape]) -> Mapping[str, Shape]:
        return {"y": self.shape}


@op
@dataclass(frozen=True)
class Output(Op):
    """A named output of the program: what arrives here is returned as ``[T, B, ...]``."""

    @property
    def out_ports(self) -> tuple[str, ...]:
        return ()

    def infer(self, shapes: Mapping[str, Shape]) -> Mapping[str, Shape]:
        return {}
