"""Parts of a program that feed back through time.

`loop` runs them. `sweep` is the way there and back as one node of autograd's graph: `steps` says what a
loop reads and carries. It runs step by step, where `nodes` says what a node does at a step, `one_step` what
all nodes do, and `buffers` where signals lie; or as one kernel: `fusing` says which, or why not, and `fused`
runs it.
"""

from __future__ import annotations

from snnhw.tensors.network.loops.fusing import refusal
from snnhw.tensors.network.loops.loop import run_loop

__all__ = ["refusal", "run_loop"]
