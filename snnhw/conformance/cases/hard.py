"""Cases that a review of the language found easy to get wrong, one by one.

What is said here on purpose is mostly implied elsewhere too; but a failure with one of these names
says at once what was forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from snnhw.conformance.case import Array, Case, ports_of
from snnhw.conformance.cases.harness import NODE, Subject, alone, observed, probed, stepped, with_state
from snnhw.conformance.cases.neurons import Setting, common, usual
from snnhw.conformance.cases.numbers import Dyadics
from snnhw.conformance.cases.search import required
from snnhw.conformance.proof import proven
from snnhw.ir import (
    Add,
    Edge,
    FrozenMap,
    Input,
    Linear,
    Neuron,
    Op,
    Output,
    Param,
    Params,
    Pointwise,
    Program,
    StraightThrough,
    TimeAxis,
    clamp,
    maximum,
    minimum,
    sequential,
    trainable,
    var,
)

__all__ = ["cases"]

x, p = var("x"), var("p")

ENDS: Final = (-0.5, 0.0, 0.5, 1.0, 1.5)
"""Outside, at the ends of, and within the range that a clamp lets through."""
