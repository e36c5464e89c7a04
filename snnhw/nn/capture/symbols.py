"""What stands for values while a forward is recorded, and what Python asks of it."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import fx

from snnhw.ir import Shape

__all__ = ["RETURNED", "STEPS", "Names", "Symbols"]

STEPS = 3
"""How many steps a sequence is taken to have, where a forward asks: the first has no step before it, and
the last no step after it."""

COMPARISONS = (
    *(operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge),
    *(operator.add, operator.sub, operator.mul, operator.mod, operator.floordiv),
)
"""What sizes may be put through on the way to a choice."""

RETURNED = "snnhw.returned"
"""Set where a neuron is called: the names of what it returns."""


class Symbol(fx.Proxy):
    """A value that knows what it is asked for while a loop over time is written out."""

    tracer: Symbols

    def __getattr__(self, name: str) -> Any:
        if name == "device":  # for states that a forward makes itself; a program has neither
            return torch.device("cpu")
        if name == "dtype":
            return torch.get_default_dtype()
        return super().__getattr__(name)

    def __getitem__(self, index: Any) -> Any:
        parts = self.node.meta.get(RETURNED)
        if isinstance(parts, tuple) and isinstance(index, slice):
            return tuple(self[place] for place in range(*index.indices(len(parts))))
        found = super().__getitem__(index)  # type: ignore[misc]  # fx defines it
        if isinstance(parts, tuple) and isinstance(index, int) and -len(parts) <= index < len(parts):
            found.node.meta[RETURNED] = parts[index]
        return found

    def __index__(self) -> int:
        return self.tracer.number(self.node)

    def __float__(self) -> float:
        return self.tracer.constant(self.node)

    def __len__(self) -> int:
        return self.tracer.length(self.node)


class Size(Symbol):
    """One size of a tensor: to torch's functions a number, of which a forward makes first states."""

    # As torch's notes on extending it have it.
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]


class Names(dict[str, str]):
    """Every port, by its name."""

    def __missing__(self, name: str) -> str:
        return name


def _is_size(node: fx.Node) -> bool:
    """Whether a node is the size of a tensor along one axis."""
    if node.target == "size":
        return len(node.args) == 2
    if node.target is not operator.getitem:
        return False
    sizes, index = node.args
    return isinstance(sizes, fx.Node) and isinstance(index, int) and _are_sizes(sizes)


def _are_sizes(node: fx.Node) -> bool:
    """Whether a node is all sizes of a tensor."""
    return node.target == "size" or (node.target is getattr and node.args[1] == "shape")


def _size_of(node: fx.Node) -> tuple[fx.Node | None, Any]:
    """The input and the axis whose size a node is."""
    if node.target == "size" and len(node.args) == 2:
        source, index = node.args
    elif node.target is operator.getitem:
        sizes, index = node.args
        whole = isinstance(sizes, fx.Node) and _are_sizes(sizes)
        source = sizes.args[0] if whole else None  # type: ignore[union-attr]  # whole says it is a node
    else:
        return None, None
    return (source, index) if isinstance(source, fx.Node) and source.op == "placeholder" else (None, None)


class Symbols(fx.Tracer):
    """Makes the symbols, and answers for them.

    Args:
        shapes: input -> its shape; sequences: those inputs whose first axis is time.

    Attributes:
        in_vain: what was asked last without an answer; torch does not pass that on.
    """

    def __init__(self, shapes: Mapping[str, Shape], sequences: frozenset[str]) -> None:
        super().__init__()
        self.shapes, self.sequences = shapes, sequences
        self.in_vain = ""

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return (Size if _is_size(node) else Symbol)(node, self)

    def number(self, node: fx.Node) -> int:
        """The value of a size, or the number of steps that an argument without a sample stands for."""
        if node.op == "placeholder" and node.target not in self.shapes:
            return STEPS
        source, index = _size_of(node)
        shape = self.shapes.get(str(source.target)) if source is not None else None
        if shape is None or not isinstance(index, int) or not -len(shape) <= index < len(shape):
            self.in_vain = f"'{node.name}' is no number before the network runs."
            raise TypeError(self.in_vain)
        return shape[index]

    def constant(self, node: fx.Node) -> float:
        """The value of a size that is the same in every run."""
        source, index = _size_of(node)
        value = self.number(node)
        timed = source is None or source.target in self.sequences
        if source is None or index % len(self.shapes[str(source.target)]) <= timed:
            what = "the number of time steps" if timed else "the size of the batch"
            raise TypeError(f"'{node.name}' may be {what}, which a program does not know.")
        return float(value)

    def to_bool(self, obj: fx.Proxy) -> bool:
        """A choice by the shape of the input, which the sample tells, is followed as for the sample."""
        found = self._by_shape(obj.node)
        return super().to_bool(obj) if found is None else bool(found)

    def _by_shape(self, value: Any) -> Any:
        """What sizes, numbers of axes, and comparisons of them come to; None for anything else."""
        if not isinstance(value, fx.Node):
            return value if isinstance(value, (int, float)) else None
        source = value.args[0] if value.args else None
        given = isinstance(source, fx.Node) and source.op == "placeholder"
        if given and (value.target == "dim" or (value.target is getattr and value.args[1] == "ndim")):
            shape = self.shapes.get(str(source.target))  # type: ignore[union-attr]  # given says it is a node
            return None if shape is None else len(shape)
        if _size_of(value)[0] is not None:
            return self.number(value)
        if value.target in COMPARISONS:
            found = [self._by_shape(arg) for arg in value.args]
            return None if None in found else value.target(*found)
        return None

    def length(self, node: fx.Node) -> int:
        """Of what a neuron returns, or of an input."""
        if isinstance(parts := node.meta.get(RETURNED), tuple):
            return len(parts)
        if node.op != "placeholder" or node.target not in self.shapes:
            raise TypeError(f"'{node.name}' has no length before the network runs.")
        return self.shapes[str(node.target)][0]

    def iter(self, obj: fx.Proxy) -> Iterator[Any]:
        several = isinstance(obj.node.meta.get(RETURNED), tuple)
        if not several and (obj.node.op != "placeholder" or obj.node.target not in self.shapes):
            return super().iter(obj)
        return (obj[step] for step in range(self.length(obj.node)))  # type: ignore[index]  # fx defines it
