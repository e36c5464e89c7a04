"""Numbers that a training run can have come to, and those that none can."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from snnhw.errors import InputError
from snnhw.ir import Slot
from snnhw.ir.noise import LIMIT
from snnhw.session.origin import ADVICE
from snnhw.session.writing import Array

__all__ = ["check_counts", "check_step", "check_values", "setting"]

EXACT: Final = 2**24
"""Up to here a count in float32 goes on counting."""


def check_counts(found: Mapping[str, Array | None], accumulate: int) -> dict[str, int]:
    """Updates, pending calls and sequences, as whole numbers that go together."""
    most = {"updates": 2**62, "pending": accumulate - 1, "sequence": LIMIT - 1}
    counts = {name: _count(name, array, most[name]) for name, array in found.items()}
    calls = counts["updates"] * accumulate + counts["pending"]
    if counts["sequence"] > calls:
        raise InputError(
            f"'sequence' is {counts['sequence']}, but there have been {calls} calls of step: "
            f"{counts['updates']} updates of {accumulate} and {counts['pending']} pending; a call begins one "
            "sequence at most"
        )
    return counts


def _count(name: str, array: Array | None, most: int) -> int:
    if array is None:
        raise InputError(f"this state lacks '{name}'; {ADVICE}")
    if array.shape != () or array.dtype.kind not in "iu" or not 0 <= int(array) <= most:
        raise InputError(
            f"'{name}' is {_shown(array)}; accepted in a state of this run: a whole number from 0 to {most}"
        )
    return int(array)


def _shown(array: Array) -> str:
    """A number, or what the array is instead of one."""
    if array.shape == () and array.dtype.kind in "iufb":
        return repr(array.item())
    return f"an array of {array.dtype} of shape {list(array.shape)}"


def setting(name: str, array: Array, like: Any) -> Any:
    """A setting of the optimizer, of the kind that it is now: a number, several, or whether."""
    wanted = np.shape(like)
    if array.dtype.kind not in "iuf" or array.shape != wanted:
        raise InputError(f"'setting/{name}' is {_shown(array)}; accepted: numbers of shape {list(wanted)}")
    numbers = array.astype(np.float64).tolist()
    if not isinstance(like, bool):
        return tuple(numbers) if wanted else numbers
    if numbers not in (0.0, 1.0):
        raise InputError(f"'setting/{name}' is {_shown(array)}; accepted: 0 or 1")
    return bool(numbers)


def check_values(name: str, array: Array, slot: Slot, shape: tuple[int, ...]) -> None:
    """What is remembered of a parameter of that shape, or a gradient of it."""
    wanted, kinds = ((), "iuf") if slot.kind == "count" else (shape, "f")
    if array.shape != wanted:
        raise InputError(f"'{name}' has shape {list(array.shape)}; accepted: {list(wanted)}")
    if array.dtype.kind not in kinds:
        raise InputError(f"'{name}' holds {array.dtype}; accepted: numbers of a floating-point type")
    if slot.kind == "square" and np.any(array < 0):
        raise InputError(
            f"'{name}' holds {array[array < 0].flat[0]}; accepted: numbers that are not negative, as means "
            "of squares are"
        )


def check_step(name: str, array: Array, updates: int, *, every: bool) -> None:
    """A parameter's own count of updates.

    Args:
        every: whether all parameters are updated; otherwise some may never be.
    """
    counted = min(updates, EXACT) <= array <= updates and float(array).is_integer()
    if not (counted or (array == 0 and not every)):
        accepted = f"{updates}" if every else f"{updates}, or 0 where nothing reads the parameter"
        raise InputError(f"'{name}' is {array.item()!r}; accepted: {accepted}, as 'updates' is {updates}")
