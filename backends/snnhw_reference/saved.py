"""A training run as flat arrays, and back.

Names are ``param/KEY``, ``grad/KEY`` (what has been accumulated towards the next update),
``optimizer/KEY/SLOT``, ``pending``, the number of calls that the accumulated gradient holds, and
``sequence``, the number of sequences trained so far, which random numbers depend on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from snnhw.errors import InputError
from snnhw.ir import Optimizer, Program, check_params
from snnhw.reference import SLOTS

__all__ = ["Saved", "read"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Saved:
    """What an exact resume needs.

    Attributes:
        params: key -> value; grads: key -> accumulated gradient.
        memory: what the optimizer remembers, as `snnhw.reference.update` gives it.
        pending: calls of ``step`` since the last update.
        sequence: sequences trained so far.
    """

    params: dict[str, Array]
    grads: dict[str, Array]
    memory: dict[str, Array]
    pending: int
    sequence: int

    def arrays(self) -> dict[str, Array]:
        """Flat, in arrays of the caller's own."""
        parts = {"param": self.params, "grad": self.grads, "optimizer": self.memory}
        flat = {
            f"{part}/{key}": np.array(array)
            for part, arrays in parts.items()
            for key, array in arrays.items()
        }
        return flat | {"pending": np.array(self.pending), "sequence": np.array(self.sequence)}


def read(
    arrays: Mapping[str, Array], program: Program, optimizer: Optimizer | None, dtype: np.dtype[Any]
) -> Saved:
    """What `Saved.arrays` wrote, checked against the program and the optimizer.

    Without an optimizer the parameters alone are taken: a training run can be evaluated.

    Raises:
        InputError: a name that does not belong there, or an array of another shape.
        ProgramError: parameters that are missing or do not fit.
    """
    parts: dict[str, dict[str, Array]] = {
        "param": {},
        "grad": {},
        "optimizer": {},
        "pending": {},
        "sequence": {},
    }
    for name, array in arrays.items():
        part, _, rest = name.partition("/")
        if part not in parts:
            raise InputError(f"'{name}' is no part of a saved state; names begin with {', '.join(parts)}")
        parts[part][rest] = array
    check_params(program, parts["param"], allow_nonfinite=True)
    params = {key: np.array(array, dtype) for key, array in parts["param"].items()}
    if optimizer is None:
        return Saved(params, {}, {}, 0, 0)
    expected = _expected(program, params, optimizer)
    for part in ("grad", "optimizer"):
        for key, array in parts[part].items():
            _check(f"{part}/{key}", array.shape, expected)
    return Saved(
        params=params,
        grads={key: np.array(array, dtype) for key, array in parts["grad"].items()},
        memory={
            key: np.array(array, None if key.endswith("/step") else dtype)
            for key, array in parts["optimizer"].items()
        },
        pending=int(parts["pending"].get("", np.array(0))),
        sequence=int(parts["sequence"].get("", np.array(0))),
    )


def _expected(
    program: Program, params: Mapping[str, Array], optimizer: Optimizer
) -> dict[str, tuple[int, ...]]:
    """Every name besides parameters that may be there, and its shape."""
    found = {}
    for key in program.trainable:
        found[f"grad/{key}"] = params[key].shape
        for slot in SLOTS[type(optimizer)]:
            found[f"optimizer/{key}/{slot}"] = () if slot == "step" else params[key].shape
    return found


def _check(name: str, shape: tuple[int, ...], expected: Mapping[str, tuple[int, ...]]) -> None:
    if name not in expected:
        raise InputError(
            f"'{name}' does not belong to this run; load it where the same parameters are trained "
            "by the same optimizer, or take the parameters alone with set_params"
        )
    if shape != expected[name]:
        raise InputError(f"'{name}' has shape {list(shape)}; accepted: {list(expected[name])}")
