"""Parts of a program that feed back through time, step by step.

`loop` runs them. `sweep` is the way there and back as one node of autograd's graph: `steps` says what a
loop reads and carries, `parts` what a node does at a step, `running` what all nodes do, and `rooms` where
signals lie.
"""

from __future__ import annotations

from snnhw.tensors.network.loops.loop import run_loop

__all__ = ["run_loop"]
