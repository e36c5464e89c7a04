"""What values the settings of loss terms may have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from snnhw.ir.checks import is_number

__all__ = ["WRONG", "number"]


def _among(*choices: str) -> Callable[[Any], str]:
    return lambda value: "" if value in choices else f"give {' or '.join(map(repr, choices))}"


def number(value: Any) -> str:
    """What is wrong with a setting that has to be a number, or nothing."""
    return "" if is_number(value) else "give a finite number"


def _not_negative(value: Any) -> str:
    return "" if is_number(value) and value >= 0 else "give a number of steps, 0 or more"


def _count(value: Any) -> str:
    whole = value is None or (type(value) is int and value > 0)
    return "" if whole else "give a number of classes, 1 or more, or None: every neuron is one"


def _weights(value: Any) -> str:
    right = value is None or (
        isinstance(value, tuple) and value and all(is_number(each) and each >= 0 for each in value)
    )
    return "" if right else "give a tuple of numbers, 0 or more, one for each class, or None: all alike"


def _flag(value: Any) -> str:
    return "" if isinstance(value, bool) else "give True or False"


WRONG: Final[Mapping[str, Callable[[Any], str]]] = {
    "reduction": _among("mean", "sum"),
    "over_time": _among("sum", "mean"),
    "inverse": _among("negate", "reciprocal"),
    "tolerance": _not_negative,
    "num_classes": _count,
    "class_weights": _weights,
    "time_var_targets": _flag,
    "target_is_time": _flag,
}
"""Setting -> what is wrong with a value of it, or nothing. Settings of other names are numbers."""
