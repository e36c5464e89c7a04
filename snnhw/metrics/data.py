"""Data as it is given, in batches: inputs by name, and the classes of samples, where they are known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import numpy as np

from snnhw.arrays import hosts
from snnhw.errors import InputError
from snnhw.ir import Input, Program
from snnhw.ir.inputs import check_inputs
from snnhw.target import Array
from snnhw.words import listing

__all__ = ["LABELS", "Batch", "batches", "filled"]

LABELS: Final = "labels"
"""Name of the classes among arrays by name."""

Batch = tuple[dict[str, Array], Array | None]
"""Input name -> ``[T, B, ...]``, static: ``[B, ...]``; and the class of each sample, ``[B]``."""


def batches(program: Program, data: Iterable[Any], size: int | None) -> Iterator[Batch]:
    """Batches of what a loader gives, one after the other.

    Args:
        data: ``(x, y)`` or ``(x,)``: ``x`` an array, or arrays by name, among which ``labels`` may be.
        size: the most samples of a batch; larger ones are cut. None: as they come.

    Raises:
        InputError: they do not fit the program, or the labels the samples.
    """
    names = program.named(Input)
    for number, given in enumerate(data, 1):
        if not isinstance(given, tuple | list) or len(given) not in (1, 2):
            what = f"{len(given)} things" if isinstance(given, tuple | list) else type(given).__name__
            raise InputError(f"batch {number} of the data is {what}; accepted: (x, y), or (x,)")
        x = dict(given[0]) if isinstance(given[0], Mapping) else _by_order(names, given[0])
        labels = given[1] if len(given) == 2 else None
        if LABELS not in names:
            own = x.pop(LABELS, None)
            labels = own if labels is None else labels
        known = None if labels is None else hosts("labels", {LABELS: labels})[LABELS]
        yield from _cut(program, hosts("input", x), known, size)


def _by_order(names: tuple[str, ...], x: Any) -> dict[str, Any]:
    arrays = x if isinstance(x, tuple | list) else (x,)
    if len(arrays) != len(names):
        raise InputError(f"the data give {len(arrays)} inputs; the network has {listing(names)}")
    return dict(zip(names, arrays, strict=True))


def _cut(
    program: Program, inputs: dict[str, Array], labels: Array | None, size: int | None
) -> Iterator[Batch]:
    statics = program.time.static_inputs
    timed = set(program.named(Input)) - set(statics)
    _, samples = check_inputs(program, {name: x.shape for name, x in inputs.items()}, None if timed else 1)
    if labels is not None and labels.shape != (samples,):
        raise InputError(
            f"labels have shape {list(labels.shape)}; accepted: [{samples}], one for each sample"
        )
    for start in range(0, samples, size or samples):
        here = slice(start, start + (size or samples))
        part = {name: x[here] if name in statics else x[:, here] for name, x in inputs.items()}
        _check_finite(part)
        yield part, None if labels is None else labels[here]


def filled(program: Program, inputs: Mapping[str, Array], size: int) -> dict[str, Array]:
    """A batch filled up to ``size`` by its own samples, for backends that take one size only."""
    statics = program.time.static_inputs
    axes = {name: 0 if name in statics else 1 for name in inputs}
    return {name: np.take(x, np.arange(size) % x.shape[axes[name]], axes[name]) for name, x in inputs.items()}


def _check_finite(inputs: Mapping[str, Array]) -> None:
    """Raise `InputError` at the first value that is none."""
    for name, x in inputs.items():
        if not np.isfinite(x).all():
            at = [int(index) for index in np.argwhere(~np.isfinite(x))[0]]
            raise InputError(f"input '{name}' holds {x[tuple(at)]} at {at}; every value has to be finite")
