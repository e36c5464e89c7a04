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
from .executor import PoplarExecutor, inferenceModel, trainingModel
from .loader import DataLoader
from .options import ConnectionType, Options, OutputMode, ReductionType

__all__ = [
    "ConnectionType",
    "DataLoader",
    "Error",
    "Options",
    "OutputMode",
    "PoplarExecutor",
    "ReductionType",
    "__version__",
    "cond",
    "for_loop",
    "identity_loss",
    "inferenceModel",
    "ipuHardwareIsAvailable",
    "isRunningOnIpu",
    "optim",
    "trainingModel",
]

__version__ = "3.4.0+emulated"


def ipuHardwareIsAvailable(num_ipus: int = 1) -> bool:  # PopTorch's names
    """There is none."""
    return False


def for_loop(count: int, body: object, inputs: object) -> object:
    """PopTorch's loop, which cannot be trained through."""
    raise Error("poptorch.for_loop() is only supported in inference; write the loop in Python")


def cond(condition: object, *branches: object) -> object:
    """PopTorch's branch, which cannot be trained through."""
    raise Error("poptorch.cond() is only supported in inference; choose with torch.where")
