"""What a program means: NumPy, one step after the other, with gradients from a tape of its own.

This is the yardstick that every backend is held to. It shares no numerical code with any of them,
and does not use `snnhw.ir.gradient`. In float64 it is the reference; in float32 it is the *strict
evaluation*: every operation of an equation rounded once, in the order in which it is written.
"""

from __future__ import annotations

from snnhw.reference.execute import Execution, execute
from snnhw.reference.losses import TERMS
from snnhw.reference.ops import RULES
from snnhw.reference.optimizers import UPDATES, clip_by_norm, update
from snnhw.reference.train import Gradients, gradients, pullback

__all__ = [
    "RULES",
    "TERMS",
    "UPDATES",
    "Execution",
    "Gradients",
    "clip_by_norm",
    "execute",
    "gradients",
    "pullback",
    "update",
]
