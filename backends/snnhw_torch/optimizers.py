"""Optimizer values as torch optimizers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import torch
from torch import Tensor

from snnhw.ir import SGD, Adam, AdamW, Optimizer

__all__ = ["OPTIMIZERS", "settings"]


def _sgd(value: SGD) -> dict[str, Any]:
    return {
        "lr": value.lr,
        "momentum": value.momentum,
        "weight_decay": value.weight_decay,
        "nesterov": value.nesterov,
    }


def _adam(value: Adam) -> dict[str, Any]:
    return {"lr": value.lr, "betas": value.betas, "eps": value.eps, "weight_decay": value.weight_decay}


OPTIMIZERS: Final[Mapping[type[Optimizer], tuple[type[torch.optim.Optimizer], Callable[[Any], dict[str, Any]]]]] = {
    SGD: (torch.optim.SGD, _sgd),
    Adam: (torch.optim.Adam, _adam),
    AdamW: (torch.optim.AdamW, _adam),
}
"""Optimizer type -> torch's class, and its settings from a value."""


def settings(value: Optimizer) -> dict[str, Any]:
    """What torch calls a parameter group's options."""
    return OPTIMIZERS[type(value)][1](value)


def build(value: Optimizer, params: Iterable[Tensor]) -> torch.optim.Optimizer:
    """A torch optimizer over the parameters."""
    cls = OPTIMIZERS[type(value)][0]
    return cls(list(params), **settings(value))
