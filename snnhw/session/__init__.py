"""What every executable does alike: the rules of a session, and what it saves and takes back.

`session` is what an executable holds, `progress` how far a training run has come; `inference` is a whole
executable for a backend that only evaluates, in main memory. `writing` says what a saved state consists of;
`reading` holds one to the run that is to go on from it: of the same `origin`, with nothing but `values` that
it can have come to. `checkpoint` has it in one file.
"""

from __future__ import annotations

from snnhw.session.inference import Evaluation, Given, Inference
from snnhw.session.progress import GRADIENTS, Layout, Progress
from snnhw.session.session import Session

__all__ = ["GRADIENTS", "Evaluation", "Given", "Inference", "Layout", "Progress", "Session"]
