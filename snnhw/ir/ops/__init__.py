"""Ops: the kinds of node a program is made of, one frozen dataclass apiece.

A new op is a dataclass in a file of this folder, registered by ``@op`` and named in the file's ``__all__``:
what a file offers is offered here, and at `snnhw.ir`. A new file is named here, and there:
mypy does not follow a star that leads to another.
"""

from __future__ import annotations

from typing import Final

from snnhw.ir.ops import (
    across,
    base,
    batchnorm,
    conv,
    dropout,
    io,
    linear,
    neuron,
    normal,
    parameter,
    pool,
    rounded,
    saturating,
    shape,
)
from snnhw.ir.ops.across import *
from snnhw.ir.ops.base import *
from snnhw.ir.ops.base import OPS, Op
from snnhw.ir.ops.batchnorm import *
from snnhw.ir.ops.conv import *
from snnhw.ir.ops.dropout import *
from snnhw.ir.ops.io import *
from snnhw.ir.ops.linear import *
from snnhw.ir.ops.neuron import *
from snnhw.ir.ops.normal import *
from snnhw.ir.ops.parameter import *
from snnhw.ir.ops.pool import *
from snnhw.ir.ops.rounded import *
from snnhw.ir.ops.saturating import *
from snnhw.ir.ops.shape import *

__all__: list[str] = []
__all__ += across.__all__
__all__ += base.__all__
__all__ += batchnorm.__all__
__all__ += conv.__all__
__all__ += dropout.__all__
__all__ += io.__all__
__all__ += linear.__all__
__all__ += neuron.__all__
__all__ += normal.__all__
__all__ += parameter.__all__
__all__ += pool.__all__
__all__ += rounded.__all__
__all__ += saturating.__all__
__all__ += shape.__all__

SHIPPED: Final[tuple[type[Op], ...]] = tuple(OPS.values())
"""Those of snnhw itself, whatever others register."""
