"""What every backend on torch is made of, whatever its device.

`snnhw.tensors.network` runs a program. `executable` puts a device, parameters and training around it:
`trainer` and `optimizers` make an update, `commit` makes it at once, `chosen` saves what was decided by
measurement. `explain` tells what runs, and `precision` has products at a coarser one.
"""

from __future__ import annotations

from snnhw.tensors.execution.executable import TorchExecutable
from snnhw.tensors.execution.explain import explain
from snnhw.tensors.execution.optimizers import OPTIMIZERS

__all__ = ["OPTIMIZERS", "TorchExecutable", "explain"]
