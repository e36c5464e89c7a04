"""Optimizers as data. Formulas are torch.optim's, in their unfused order."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import isfinite
from typing import Final, TypeVar

from snnhw.errors import InputError

__all__ = ["OPTIMIZERS", "SGD", "Adam", "AdamW", "Optimizer"]

OPTIMIZERS: Final[dict[str, type[Optimizer]]] = {}
"""Every optimizer by its class name."""

O = TypeVar("O", bound="type[Optimizer]")


@dataclass(frozen=True)
class Optimizer:
    """Base of the optimizers; subclasses are frozen dataclasses of numbers."""

    lr: float = 1e-3

    def __post_init__(self) -> None:
        for item in fields(self):
            values = getattr(self, item.name)
            for value in values if isinstance(values, tuple) else (values,):
                sound = isinstance(value, (bool, int, float)) and isfinite(value) and value >= 0
                if not sound:
                    raise InputError(
                        f"{type(self).__name__}({item.name}={values!r}): give finite numbers >= 0"
                    )


def optimizer(cls: O) -> O:
    """Register an optimizer class."""
    OPTIMIZERS[cls.__name__] = cls
    return cls


@optimizer
@dataclass(frozen=True)
class SGD(Optimizer):
    """``g += weight_decay * w``; ``v = momentum * v + g`` (the first time ``v = g``); ``w -= lr * v``,
    or with ``nesterov`` ``w -= lr * (g + momentum * v)``."""

    momentum: float = 0.0
    weight_decay: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nesterov and self.momentum == 0:
            raise InputError("SGD(nesterov=True) needs a momentum greater than 0")


@optimizer
@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam with bias correction; ``weight_decay`` is added to the gradient.

    Source: D. P. Kingma, J. Ba, "Adam", ICLR 2015.
    """

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.betas) != 2 or not all(beta < 1 for beta in self.betas):
            raise InputError(f"{type(self).__name__}(betas={self.betas!r}): give two numbers below 1")


@optimizer
@dataclass(frozen=True)
class AdamW(Adam):
    """Adam whose weight decay shrinks the weights directly: ``w -= lr * weight_decay * w`` first.

    Source: I. Loshchilov, F. Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.
    """

    weight_decay: float = 0.01
