"""What several encodings ask of their arguments."""

from __future__ import annotations

from numbers import Integral
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from snnhw.errors import InputError
from snnhw.tensors.arrays import as_tensor
from snnhw.words import brief

__all__ = ["Steps", "check_between", "check_steps", "floating"]

Steps: TypeAlias = int | Literal[False] | None
"""A number of steps; False, as snnTorch has it, or None where it is left out."""


def floating(what: str, data: Any) -> Tensor:
    """The data as a tensor of a floating dtype."""
    tensor = as_tensor(what, "data", data, values=False)
    return tensor if tensor.is_floating_point() else tensor.to(torch.get_default_dtype())


def check_steps(what: str, num_steps: Steps, first_spike_time: int) -> None:
    """Both are whole, and the first spike comes before the end."""
    given = num_steps is not None and num_steps is not False
    _check_whole(what, 1, **({"num_steps": num_steps} if given else {}))
    _check_whole(what, 0, first_spike_time=first_spike_time)
    if given and num_steps and first_spike_time >= num_steps:
        raise InputError(
            f"{what}(first_spike_time={first_spike_time}) is after the last of num_steps={num_steps} steps; "
            f"give one from 0 to {num_steps - 1}"
        )


def _check_whole(what: str, low: int, **named: object) -> None:
    for name, value in named.items():
        if not isinstance(value, Integral) or isinstance(value, bool) or value < low:
            raise InputError(f"{what}({name}={brief(value)}): give a whole number, {low} or more")


def check_between(what: str, low: float, high: float, *, ends: bool = True, **named: float) -> None:
    """Every named number is in a range, with or without its ends."""
    for name, value in named.items():
        inside = low <= value <= high if ends else low < value < high
        if not inside:
            limits = f"from {low:g} to {high:g}" if ends else f"between {low:g} and {high:g}"
            raise InputError(f"{what}({name}={value}): give a number {limits}")
