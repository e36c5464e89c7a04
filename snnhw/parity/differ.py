"""Comparing arrays, and saying where they differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from snnhw.parity.arrays import Array, host, hosts
from snnhw.parity.result import Disagreement
from snnhw.plugin import Result

__all__ = ["same_bits", "same_keys", "same_result", "within"]


def same_keys(what: str, got: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise unless both have the same names."""
    if got.keys() != wanted.keys():
        raise Disagreement(f"{what} are named {sorted(got)}, not {sorted(wanted)}")


def same_bits(what: str, got: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise unless every array of ``got`` holds the wanted numbers, bit for bit after -0 -> +0.

    What is wanted is rounded to the dtype that was returned: an exact number is the same in both.
    """
    same_keys(what, got, wanted)
    for name, array in hosts(got).items():
        target = np.asarray(host(wanted[name]), array.dtype)
        _same_shape(f"{what} '{name}'", array, target)
        _all(f"{what} '{name}'", array, target, (array == target) | (np.isnan(array) & np.isnan(target)))


def same_result(found: Result, wanted: Result, when: str = "") -> None:
    """`same_bits` for everything that a run returned; ``when`` begins the message."""
    same_bits(f"{when}port", found.recordings, wanted.recordings)
    same_bits(f"{when}output", found.outputs, wanted.outputs)
    same_bits(f"{when}final state", found.state, wanted.state)


def within(what: str, got: Any, wanted: Any, bound: Any) -> None:
    """Raise unless ``|got - wanted| <= bound`` everywhere."""
    array, target = host(got), np.asarray(wanted)
    _same_shape(what, array, target)
    _all(what, array, target, np.abs(array.astype(np.float64) - target) <= bound)


def _same_shape(what: str, got: Array, wanted: Array) -> None:
    if got.shape != wanted.shape:
        raise Disagreement(f"{what} has shape {list(got.shape)}, not {list(wanted.shape)}")


def _all(what: str, got: Array, wanted: Array, fine: Array) -> None:
    fine = np.asarray(fine)
    if fine.all():
        return
    first = np.unravel_index(int(np.argmin(fine)), fine.shape)
    where = f" at [{', '.join(map(str, first))}]" if first else ""
    wrong = fine.size - int(np.count_nonzero(fine))
    raise Disagreement(
        f"{what}{where} is {float(got[first])!r}, not {float(wanted[first])!r}; {wrong} of {fine.size} differ"
    )
