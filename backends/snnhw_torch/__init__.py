"""Running programs with torch: shared by the backends whose arrays are torch tensors.

`snnhw.tensors.network` runs a program; `executable` puts a device, parameters and training around it.
"""

from __future__ import annotations

from snnhw_torch.executable import TorchExecutable
from snnhw_torch.explain import explain
from snnhw_torch.optimizers import OPTIMIZERS

__all__ = ["OPTIMIZERS", "TorchExecutable", "explain"]
