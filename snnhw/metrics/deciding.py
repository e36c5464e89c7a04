"""Which class an output stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from snnhw.errors import InputError
from snnhw.target import Array
from snnhw.words import did_you_mean

__all__ = ["DECISIONS", "check_decision", "right"]


def _first(x: Array) -> Array:
    """The step of the first spike; without one, the number of steps."""
    return np.where((x != 0).any(0), (x != 0).argmax(0), len(x))


DECISIONS: Final[Mapping[str, Callable[[Array], Array]]] = {
    "sum": lambda x: x.sum(0).argmax(1),
    "peak": lambda x: x.max(0).argmax(1),
    "first": lambda x: _first(x).argmin(1),
}
"""Name -> from an output ``[T, B, C]`` to a class ``[B]``: of the most spikes, or the largest sum; of the
largest value at any step; of the first spike."""


def check_decision(name: str) -> None:
    """Raise `InputError` unless there is such a way."""
    if name not in DECISIONS:
        raise InputError(
            f"'{name}' is no way to decide.{did_you_mean(name, DECISIONS)} There are {', '.join(DECISIONS)}."
        )


def right(decide: str, output: Array, labels: Array) -> int:
    """How many samples are taken for what they are.

    Raises:
        InputError: labels that are no classes of this output.
    """
    shape = output.shape[2:]
    if len(shape) != 1:
        raise InputError(
            f"labels need an output [T, B, C], one number for each class; it is {list(output.shape)}"
        )
    if labels.dtype.kind not in "iu":
        raise InputError(f"labels are {labels.dtype}; accepted: whole numbers, the class of each sample")
    outside = labels[(labels < 0) | (labels >= shape[0])]
    if outside.size:
        raise InputError(
            f"label {outside[0]} is no class: the output has {shape[0]}, from 0 to {shape[0] - 1}"
        )
    return int((DECISIONS[decide](output) == labels).sum())
