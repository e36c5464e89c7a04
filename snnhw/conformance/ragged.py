"""A case, in which samples end at steps of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from snnhw.conformance.case import Case
from snnhw.passes import Ending, ending

__all__ = ["ragged"]

LENGTHS: Final = "lengths"


def ragged(case: Case, lengths: Sequence[int]) -> tuple[Case, Ending]:
    """The case, in which each sample has so many steps, on the program that it takes."""
    made = ending(case.program, training=case.loss is not None)
    numbers = np.array(lengths)
    alive = (np.arange(case.time_steps)[:, None] < numbers).astype(np.float32)[..., None]
    changed = replace(case, program=made.program, inputs={**case.inputs, made.alive: alive})
    if case.loss is None:
        return changed, made
    return replace(changed, loss=case.loss.within(LENGTHS), targets={**case.targets, LENGTHS: numbers}), made
