"""Optimizer values as torch optimizers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from snnhw.ir import SGD, Adam, AdamW, Optimizer

__all__ = ["OPTIMIZERS", "Rule", "build", "settings"]


class Rule(NamedTuple):
    """How torch does what an optimizer value says.

    Attributes:
        cls: torch's class.
        settings: a value -> what torch calls a parameter group's options.
        slots: what torch remembers of each parameter; ``step`` is a number, the rest have its shape.
    """

    cls: Callable[..., torch.optim.Optimizer]
    settings: Callable[[Any], dict[str, Any]]
    slots: tuple[str, ...]


def _sgd(value: SGD) -> dict[str, Any]:
    return {
        "lr": value.lr,
        "momentum": value.momentum,
        "weight_decay": value.weight_decay,
        "nesterov": value.nesterov,
    }


def _adam(value: Adam) -> dict[str, Any]:
    return {"lr": value.lr, "betas": value.betas, "eps": value.eps, "weight_decay": value.weight_decay}


MOMENTS: Final = ("step", "exp_avg", "exp_avg_sq")

OPTIMIZERS: Final[Mapping[type[Optimizer], Rule]] = {
    SGD: Rule(torch.optim.SGD, _sgd, ("momentum_buffer",)),
    Adam: Rule(torch.optim.Adam, _adam, MOMENTS),
    AdamW: Rule(torch.optim.AdamW, _adam, MOMENTS),
}
"""Optimizer type -> its rule."""


def settings(value: Optimizer) -> dict[str, Any]:
    """What torch calls a parameter group's options."""
    return OPTIMIZERS[type(value)].settings(value)


def build(value: Optimizer, params: Iterable[Tensor]) -> torch.optim.Optimizer:
    """A torch optimizer over the parameters."""
    rule = OPTIMIZERS[type(value)]
    # fused: one pass over the parameters instead of one for each operation; same formulas
    return rule.cls(list(params), **rule.settings(value), fused=True)
