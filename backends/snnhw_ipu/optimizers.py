"""Optimizer values as PopTorch's: a name, and settings by PopTorch's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from snnhw.errors import InputError, Unsupported
from snnhw.ir import SGD, Adam, AdamW, Optimizer, RMSprop

__all__ = ["OPTIMIZERS", "check_compiled", "settings"]

OPTIMIZERS: Final[Mapping[type[Optimizer], Mapping[str, str]]] = {
    SGD: {"lr": "lr", "momentum": "momentum", "weight_decay": "weight_decay", "nesterov": "nesterov"},
    Adam: {"lr": "lr", "betas": "betas", "eps": "eps", "weight_decay": "weight_decay"},
    AdamW: {"lr": "lr", "betas": "betas", "eps": "eps", "weight_decay": "weight_decay"},
    RMSprop: {name: name for name in ("lr", "alpha", "eps", "weight_decay", "momentum", "centered")},
}
"""Optimizer type -> its attribute -> PopTorch's name. The class has the same name there."""

COMPILED: Final = ("nesterov", "centered")
"""Settings that decide which operations PopART compiles. Another value later would be without effect."""


def settings(optimizer: Optimizer, clip_norm: float | None) -> dict[str, Any]:
    """What PopTorch's optimizer is given. All of it is named, so that all of it may change later.

    Raises:
        Unsupported: an attribute that PopTorch does not have and that is not at its default.
    """
    names = OPTIMIZERS[type(optimizer)]
    strange = [
        f"{type(optimizer).__name__}({item.name}={getattr(optimizer, item.name)!r}): PopTorch has no such "
        f"setting; leave it at {item.default!r}"
        for item in fields(optimizer)
        if item.name not in names and getattr(optimizer, item.name) != item.default
    ]
    if clip_norm is not None and isinstance(optimizer, RMSprop):
        strange.append("clip_norm with RMSprop: PopTorch's knows no bound of gradients; leave it out")
    if strange:
        raise Unsupported("ipu", strange)
    found = {theirs: getattr(optimizer, ours) for ours, theirs in names.items()}
    return found if clip_norm is None else {**found, "max_grad_norm": clip_norm}


def check_compiled(optimizer: Optimizer, compiled: Optimizer) -> None:
    """Raise `InputError` for another value of what is compiled in."""
    for name in COMPILED:
        value = getattr(optimizer, name, None)
        if value != getattr(compiled, name, None):
            raise InputError(
                f"{type(optimizer).__name__}({name}={value!r}): on an IPU this is compiled into the program "
                "and cannot change afterwards; compile again"
            )
