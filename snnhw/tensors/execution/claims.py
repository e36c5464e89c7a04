"""What the torch runtime can do, as data: asking a plugin for its claims imports no torch."""

from __future__ import annotations

from typing import Any, Final

from snnhw import ir
from snnhw.ir import LOSS_TERMS, OPTIMIZERS, PRIMITIVES, Op
from snnhw.ir.ops import SHIPPED, is_core
from snnhw.ir.table import added
from snnhw.plugin import Capabilities, Support

__all__ = ["claims", "torch_capabilities"]

FUSED: Final[tuple[type[Op], ...]] = (
    *(ir.AvgPool1d, ir.AvgPool2d, ir.MaxPool1d, ir.SumPool1d, ir.SumPool2d),
    *(ir.Add, ir.Flatten, ir.Slice, ir.Unflatten, ir.Upsample),
    *(ir.Conv1d, ir.ConvTranspose1d),
    *(ir.LayerNorm, ir.RoundedLinear, ir.Scale),
)
"""Ops that are made of others, and for which torch has a function of its own, which is faster. A test holds
this to the tables."""

TABLES: Final = ("snnhw.tensors.network.OPERATIONS", "snnhw.tensors.network.TIMED")


def claims() -> tuple[type[Op], ...]:
    """The core ops that ship with snnhw, those with a function of their own, and what somebody has added to a
    table; not whatever else somebody registers."""
    core = (kind for kind in SHIPPED if is_core(kind))
    return (*core, *FUSED, *(kind for table in TABLES for kind in added(table)))


def torch_capabilities(**own: Any) -> Capabilities:
    """The claims of a backend that runs programs by `snnhw.tensors.execution.executable.TorchExecutable`.

    Args:
        own: fields of `Capabilities` in which it differs, or has something of its own.
    """
    usual: dict[str, Any] = {
        "ops": dict.fromkeys(claims(), Support()),
        "expressions": frozenset(PRIMITIVES),
        "losses": frozenset(LOSS_TERMS.values()),
        "optimizers": frozenset(OPTIMIZERS.values()),
        "dtypes": ("float32", "float64"),
        "noise": True,
        "lengths": True,
        "alone": "",
        "callables": True,
    }
    return Capabilities(**{**usual, **own})
