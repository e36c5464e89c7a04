"""Batches, as whatever data gives them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import Any, NamedTuple

import torch

from snnhw.errors import InputError
from snnhw.ir import Input, Program
from snnhw.nn import Model
from snnhw.tensors.arrays import as_tensor
from snnhw.words import brief

__all__ = ["batch_of", "by_name", "check_data", "counted", "length_of", "new_epoch", "sized"]


def check_data(data: Any, name: str = "data") -> None:
    """Raise `InputError` unless it can be gone through again and again."""
    if isinstance(data, Iterator):
        raise InputError(
            f"{name} is an iterator ({type(data).__name__}), which can be gone through once; give what "
            "makes one, such as a DataLoader or a list, or an object with __iter__"
        )
    if not isinstance(data, Iterable):
        raise InputError(
            f"{name} is {brief(data)}; accepted: an iterable of batches (x, y), such as a DataLoader"
        )


def length_of(data: Any) -> int | None:
    """How many batches there are, where that is known."""
    if not isinstance(data, Sized):
        return None
    try:
        return len(data)
    except TypeError:  # a DataLoader over a data set without a length
        return None


class OneBatch(NamedTuple):
    """One batch: inputs, targets, and how many steps each sample has; None where there are none."""

    x: Any
    y: Any = None
    lengths: Any = None


def batch_of(batch: Any, where: str) -> OneBatch:
    """What data gives for one batch.

    Raises:
        InputError: it is nothing like that; says ``where``.
    """
    if isinstance(batch, (tuple, list)) and len(batch) in (1, 2, 3):
        return OneBatch(*batch)
    what = f"{len(batch)} things" if isinstance(batch, (tuple, list)) else type(batch).__name__
    raise InputError(
        f"{where} is {what}; accepted: (x, y), (x, y, lengths) for samples of several lengths, or (x,) for a "
        "loss that takes no targets"
    )


def new_epoch(data: Any, number: int) -> None:
    """Tell a sampler that shares its data among processes which epoch begins, counted from 0."""
    tell = getattr(getattr(data, "sampler", None), "set_epoch", None)
    if tell is not None:
        tell(number)


def counted(program: Program, x: Any) -> int:
    """How many samples an input has."""
    name, array = next(iter(by_name(program, x).items()))
    shape = getattr(array, "shape", ())
    axis = 0 if name in program.time.static_inputs else 1
    if len(shape) <= axis:
        raise InputError(
            f"input '{name}' is {brief(array)}; accepted: an array [T, B, ...], or [B, ...] if static"
        )
    return int(shape[axis])


def sized(model: Model, x: Any, lengths: Any = None) -> tuple[Any, Any]:
    """An input, and lengths, filled up to the one size of batch that a backend takes, by its own first
    samples."""
    if not model.plugin.capabilities().fixed_shapes:
        return x, lengths
    given = by_name(model.program, x)
    batch, have = model.job.batch, counted(model.program, x)
    if have >= batch:
        return x, lengths
    rows = torch.arange(batch) % have
    static = model.program.time.static_inputs
    filled = {
        name: as_tensor("input", name, array).index_select(0 if name in static else 1, rows)
        for name, array in given.items()
    }
    return filled, None if lengths is None else torch.as_tensor(lengths)[rows]


def by_name(program: Program, x: Any) -> Mapping[str, Any]:
    """Inputs by their names."""
    names = program.named(Input)
    if isinstance(x, Mapping):
        return x
    return dict(zip(names, x if isinstance(x, (tuple, list)) else (x,), strict=False))
