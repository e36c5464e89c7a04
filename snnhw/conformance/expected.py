"""What a case should give: a run, a gradient and every update of training, as the reference does them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import DTypeLike

from snnhw.conformance.case import Case, clock_of, turn_of
from snnhw.ir import Params
from snnhw.parity.arrays import Array, Arrays
from snnhw.plugin import Result
from snnhw.reference import Gradients, clip_by_norm, execute, gradients, update

__all__ = ["Trained", "gradient_of", "reference_run", "trained"]


@dataclass(frozen=True)
class Trained:
    """A training run: the loss of every step, and the parameters after the last.

    Attributes:
        history: the parameters before every step.
    """

    losses: tuple[float, ...]
    params: Params
    history: tuple[Params, ...]


def reference_run(case: Case, dtype: DTypeLike = np.float64) -> Result:
    """What the reference gives, every operation rounded to a dtype."""
    found = execute(
        case.program,
        case.params,
        case.inputs,
        time_steps=case.time_steps,
        state=case.state,
        record=case.record,
        dtype=dtype,
    )
    return Result(found.outputs, found.recordings, found.state)


def gradient_of(
    case: Case,
    params: Params | None = None,
    inputs: Arrays | None = None,
    targets: Arrays | None = None,
    *,
    step: int = 0,
    dtype: DTypeLike = np.float64,
) -> Gradients:
    """Loss and gradients, by default of what the case holds, in its first step of training."""
    assert case.loss is not None
    return gradients(
        case.program,
        case.params if params is None else params,
        case.inputs if inputs is None else inputs,
        case.targets if targets is None else targets,
        case.loss,
        time_steps=case.time_steps,
        state=case.state,
        clock=clock_of(case, step),
        dtype=dtype,
    )


@lru_cache(maxsize=64)
def trained(case: Case, steps: int) -> Trained:
    """The case trained for ``steps`` calls of ``step``, ``accumulate`` of which share an update."""
    assert case.optimizer is not None
    params: Params = {key: np.asarray(array, np.float64) for key, array in case.params.items()}
    losses: list[float] = []
    history: list[Params] = []
    memory: Mapping[str, Array] = {}
    pending: list[dict[str, Array]] = []
    for step in range(steps):
        found = gradient_of(case, params, *turn_of(case, step), step=step)
        losses.append(found.loss)
        history.append(params)
        params = {**params, **found.execution.statistics}
        pending.append(found.params)
        if len(pending) == case.accumulate:
            params, memory = update(case.optimizer, params, _shared(case, pending), memory)
            pending = []
    return Trained(tuple(losses), params, tuple(history))


def _shared(case: Case, pending: list[dict[str, Array]]) -> dict[str, Array]:
    """The mean gradient of some steps, clipped if the case asks for it."""
    mean = {key: np.mean([grads[key] for grads in pending], axis=0) for key in pending[0]}
    return mean if case.clip_norm is None else clip_by_norm(mean, case.clip_norm)
