"""Running programs with torch: shared by the backends whose arrays are torch tensors.

`schedule` decides what is computed once, over all steps at once, or step by step; `run` does it,
differentiably; `executable` puts a device, parameters and training around it.
"""

from __future__ import annotations

from snnhw_torch.executable import TorchExecutable
from snnhw_torch.explain import explain
from snnhw_torch.layers import LAYERS
from snnhw_torch.optimizers import OPTIMIZERS
from snnhw_torch.schedule import Schedule, Stage, plan

__all__ = ["LAYERS", "OPTIMIZERS", "Schedule", "Stage", "TorchExecutable", "explain", "plan"]
