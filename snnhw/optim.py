"""Optimizers as values, for `snnhw.compile`. Same names, arguments and formulas as ``torch.optim``."""

from __future__ import annotations

from snnhw.ir import SGD, Adam, Adamax, AdamW, Optimizer, RMSprop
from snnhw.words import public

__all__ = ["SGD", "Adam", "AdamW", "Adamax", "Optimizer", "RMSprop"]

__getattr__, __dir__ = public(__name__, __all__)
