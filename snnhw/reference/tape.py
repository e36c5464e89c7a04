"""Reverse-mode differentiation over NumPy arrays, written to be read.

A `Var` is an array that remembers what it was made from, and how an adjoint flows back to each part.
What no gradient is asked of remembers nothing, so that a run without gradients keeps no tape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "Flow", "Var", "constant", "leaf", "pull", "result", "tracked"]

Array = npt.NDArray[Any]

Flow = Callable[[Array], Array]
"""From the adjoint of a result to what flows into one operand. It may still have the axes that
broadcasting added to the operand; `pull` sums them away."""


@dataclass(frozen=True, eq=False, slots=True)
class Var:
    """A value on the tape.

    Attributes:
        value: the array.
        parents: what it was made from, with the flow to each; only what is tracked.
        tracked: whether a gradient may be asked of it, or of anything it was made from.
        order: its place in the order of creation.
    """

    value: Array
    parents: tuple[tuple[Var, Flow], ...] = ()
    tracked: bool = False
    order: int = field(init=False, default_factory=count().__next__)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape


def constant(value: Array) -> Var:
    """A value that no gradient is asked of."""
    return Var(value)


def leaf(value: Array) -> Var:
    """A value that a gradient is asked of."""
    return Var(value, tracked=True)


def result(value: Array, *operands: tuple[Var, Flow]) -> Var:
    """What an operation gives, with the flow back to each operand."""
    parents = tuple((parent, flow) for parent, flow in operands if parent.tracked)
    return Var(value, parents, tracked=bool(parents))


def tracked(x: Var) -> Var:
    """The same value, with an adjoint of its own to ask for."""
    return Var(x.value, ((x, lambda g: g),) if x.tracked else (), tracked=True)


def pull(seeds: Iterable[tuple[Var, Array]], wrt: Sequence[Var]) -> list[Array]:
    """The derivative of ``sum(seed * var)`` to each value of ``wrt``, in its shape.

    An adjoint is its seed, then what flows in from its users, the last one created first: the order
    of sums that the language fixes.
    """
    adjoints: dict[Var, Array] = {}

    def flow_into(x: Var, amount: Array) -> None:
        amount = _fold(amount, x.shape)
        adjoints[x] = adjoints[x] + amount if x in adjoints else amount

    seeded = [(x, seed) for x, seed in seeds if x.tracked]
    for x, seed in seeded:
        flow_into(x, np.broadcast_to(seed, x.shape))
    with np.errstate(all="ignore"):  # infinities and NaN are values here, as on every other backend
        for x in _latest_first(x for x, _ in seeded):
            for parent, flow in x.parents:
                flow_into(parent, flow(adjoints[x]))
    return [np.array(adjoints.get(x, np.zeros_like(x.value))) for x in wrt]


def _latest_first(roots: Iterable[Var]) -> list[Var]:
    """Every tracked value under the roots, users before what they use."""
    found = dict.fromkeys(roots)
    waiting = list(found)
    while waiting:
        for parent, _ in waiting.pop().parents:
            if parent not in found:
                found[parent] = None
                waiting.append(parent)
    return sorted(found, key=lambda x: x.order, reverse=True)


def _fold(amount: Array, shape: tuple[int, ...]) -> Array:
    """The sum over every axis that broadcasting added to ``shape`` or stretched."""
    if amount.shape == shape:
        return amount
    amount = amount.sum(axis=tuple(range(amount.ndim - len(shape))))
    stretched = tuple(axis for axis, size in enumerate(shape) if size == 1 != amount.shape[axis])
    return amount.sum(axis=stretched, keepdims=True) if stretched else amount
