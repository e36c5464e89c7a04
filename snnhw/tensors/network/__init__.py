"""Programs on torch tensors: what runs once, over all steps at once, or step by step.

`schedule` decides, `run` does it, differentiably; `ops` is the table of what stateless ops compute,
`adjoints` that of how products are differentiated by hand, `timed` that of ops which tell steps apart, or
training from evaluation. `chains` finds nodes in a row that `blocks` runs as one; `memo` is what layers
remember; `works` are stateless ops with their way back, and a `tape` plays a pass without autograd. `uses`
tells which kernels run, `room` what a device could not do.
"""

from __future__ import annotations

from snnhw.tensors.network.adjoints import ADJOINTS, Differentiated, Keeping, Packing, packed
from snnhw.tensors.network.loops import refusal
from snnhw.tensors.network.memo import Memo, Remembering
from snnhw.tensors.network.module import ProgramModule, attribute
from snnhw.tensors.network.network import Network
from snnhw.tensors.network.ops import OPERATIONS, Operation
from snnhw.tensors.network.room import FAILURES, told
from snnhw.tensors.network.run import run_network
from snnhw.tensors.network.schedule import Schedule, Stage, plan
from snnhw.tensors.network.stateful_ops import TIMED
from snnhw.tensors.network.tape import Played, Score, Tape, Untaped
from snnhw.tensors.network.uses import KernelUse, Trial, trial, uses
from snnhw.tensors.network.walk import Pass, Tensors, Walk

__all__ = [
    "ADJOINTS",
    "FAILURES",
    "OPERATIONS",
    "TIMED",
    "Differentiated",
    "Keeping",
    "KernelUse",
    "Memo",
    "Network",
    "Operation",
    "Packing",
    "Pass",
    "Played",
    "ProgramModule",
    "Remembering",
    "Schedule",
    "Score",
    "Stage",
    "Tape",
    "Tensors",
    "Trial",
    "Untaped",
    "Walk",
    "attribute",
    "packed",
    "plan",
    "refusal",
    "run_network",
    "told",
    "trial",
    "uses",
]
