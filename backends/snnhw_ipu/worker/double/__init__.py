"""A strict stand-in for the module ``poptorch`` 3.4, on the host.

It holds a program to what PopTorch's sources say: one capture at fixed shapes, replay of the recorded
operations, only those that have a handler, no 64-bit numbers, PopART's gradients, one final loss, frozen
options, weights on the device until they are asked for. It shows that a program is legal and means what
it should; it says nothing about an IPU's rounding, memory or speed.
"""

from __future__ import annotations

from . import optim
from .capture import identity_loss, isRunningOnIpu
from .errors import Error
from .executor import PoplarExecutor
from .loader import DataLoader
from .ops import cond, custom_op, for_loop, nop, set_available_memory
from .options import ConnectionType, HalfFloatCastingBehavior, Options, OutputMode, ReductionType
from .wrapping import inferenceModel, trainingModel

__all__ = [
    "ConnectionType",
    "DataLoader",
    "Error",
    "HalfFloatCastingBehavior",
    "Options",
    "OutputMode",
    "PoplarExecutor",
    "ReductionType",
    "__version__",
    "cond",
    "custom_op",
    "for_loop",
    "identity_loss",
    "inferenceModel",
    "ipuHardwareIsAvailable",
    "isRunningOnIpu",
    "nop",
    "optim",
    "set_available_memory",
    "trainingModel",
]

__version__ = "3.4.0+emulated"


def ipuHardwareIsAvailable(num_ipus: int = 1) -> bool:  # PopTorch's names
    """There is none."""
    return False
