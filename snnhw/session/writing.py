"""A run as flat arrays, and back: what a saved state holds on every backend, and what none can hold.

    run                  of which run it is: JSON as bytes, see `Origin`
    param/KEY            parameters, and what training measures
    setting/NAME         of the optimizer, as `set_optimizer` left it
    updates              how many there have been
    pending              calls of ``step`` since the last one
    sequence             sequences trained so far, which random numbers depend on
    grad/KEY             what those calls have added up
    optimizer/KEY/SLOT   what the optimizer remembers
    own/NAME             what a backend adds, and checks itself

A state of a run that only evaluates has the first two.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from snnhw.session.origin import Origin
from snnhw.session.progress import Progress

__all__ = ["COUNTS", "PARTS", "VERSION", "Array", "Flat", "record"]

Array = npt.NDArray[Any]
Flat = Mapping[str, Array]

VERSION: Final = 2
"""Rises when a state saved before would be read differently. The first had no ``run``."""

COUNTS: Final = ("updates", "pending", "sequence")

PARTS: Final = ("run", "param", "setting", *COUNTS, "grad", "optimizer", "own")


def record(origin: Origin, params: Flat, progress: Progress) -> dict[str, Array]:
    """Flat, in arrays of the caller's own."""
    said: dict[str, Any] = {"version": VERSION, "program": origin.program}
    flat = {f"param/{key}": np.array(array) for key, array in params.items()}
    optimizer = progress.optimizer
    if optimizer is not None:
        said |= {item.name: getattr(origin, item.name) for item in fields(origin)}
        said |= {"slots": _slots(progress.memory), "own": sorted(progress.own)}
        flat |= {f"setting/{item.name}": _number(getattr(optimizer, item.name)) for item in fields(optimizer)}
        counts = {name: np.array(getattr(progress, name)) for name in COUNTS}
        parts = {"grad": progress.grads, "optimizer": progress.memory, "own": progress.own}
        named = {f"{part}/{key}": np.array(x) for part, held in parts.items() for key, x in held.items()}
        flat |= {**counts, **named}
    return flat | {"run": np.frombuffer(json.dumps(said).encode(), np.uint8).copy()}


def _slots(memory: Flat) -> list[str]:
    return sorted({name.rpartition("/")[2] for name in memory})


def _number(value: Any) -> Array:
    return np.array(value, np.float64)
