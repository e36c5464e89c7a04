"""What the values of a traced forward stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from snnhw.ir import Op, Params, Shape

__all__ = ["BatchSize", "Converted", "HeldTensor", "Signal", "described"]


@dataclass(frozen=True)
class Signal:
    """A port, the shape of one sample there, and how many samples are traced."""

    port: str
    shape: Shape
    batch: int

    @property
    def sizes(self) -> tuple[int, ...]:
        """What torch calls its shape."""
        return (BatchSize(self.batch), *self.shape)


class BatchSize(int):
    """The first size of a traced tensor: a number while tracing, unknown to a program."""


@dataclass(frozen=True)
class HeldTensor:
    """A tensor that a module holds and uses by itself."""

    name: str


@dataclass(frozen=True)
class Converted:
    """An op to add, the ports that arrive at each of its inputs, and its parameters.

    Attributes:
        delay: how many steps late they arrive.
        sources: parameter -> its name in the module, where that is another; ``*`` in it stands for the
            numbers along the parameter's first axis.
        then: ops that follow it, one after the other.
        fixed: whether its parameters are made of the module's, which hold something else.
    """

    op: Op
    arriving: Mapping[str, tuple[str, ...]]
    params: Params = field(default_factory=dict)
    delay: int = 0
    sources: Mapping[str, str] = field(default_factory=dict)
    then: tuple[Op, ...] = ()
    fixed: bool = False


def described(value: Any) -> str:
    """A traced value in words."""
    if isinstance(value, tuple) and all(isinstance(item, Signal) for item in value):
        return (
            f"{len(value)} signals at once, as a neuron returns its spikes and states; take the first of "
            "them, or construct the neuron with init_hidden=True"
        )
    if isinstance(value, HeldTensor):
        return f"the tensor '{value.name}'; only layers and neurons may hold parameters"
    return f"{value!r}"
