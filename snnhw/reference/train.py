"""Gradients of a program, by the tape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import DTypeLike

from snnhw.errors import InputError, ProgramError
from snnhw.ir import Clock, Loss, Params, Program, infer_shapes
from snnhw.ir.inputs import check_record
from snnhw.ir.targets import TargetArray, check_targets
from snnhw.reference.arrays import stack
from snnhw.reference.execute import Execution, Start, begin, observe, to_state
from snnhw.reference.losses import loss_value, ports_of
from snnhw.reference.tape import Array, Var, pull

__all__ = ["Gradients", "gradients", "pullback"]


@dataclass(frozen=True)
class Gradients:
    """A loss, its derivatives, and the run they belong to.

    Attributes:
        loss: the value that was differentiated.
        params: trainable parameter key -> derivative, in the parameter's shape.
        inputs: input name -> derivative, in the input's shape; when asked for.
        state: state key -> derivative to the initial state; when asked for.
        execution: the run, with what was recorded.
    """

    loss: float
    params: dict[str, Array]
    inputs: dict[str, Array]
    state: dict[str, Array]
    execution: Execution


def gradients(
    program: Program,
    params: Params,
    inputs: Mapping[str, Array],
    targets: Mapping[str, Array],
    loss: Loss,
    *,
    time_steps: int | None = None,
    state: Mapping[str, Array] | None = None,
    record: Sequence[str] = (),
    dtype: DTypeLike = np.float64,
    wrt_inputs: bool = False,
    wrt_state: bool = False,
    training: bool = True,
    clock: Clock | None = None,
) -> Gradients:
    """The loss of a run, and its derivatives; arguments as for `snnhw.reference.execute`.

    Args:
        targets: target name -> class numbers or wanted values, see `snnhw.ir.targets`.
        loss: each term says which port it reads.
        wrt_inputs: also give derivatives to the inputs.
        wrt_state: also give derivatives to the initial state.
        training: the run is one of training, as it is in a step; False: of evaluation.

    Raises:
        InputError: inputs, state, ports or targets that do not fit.
        ProgramError: parameters that do not fit.
    """
    _real(program)
    start = begin(
        program,
        params,
        inputs,
        time_steps=time_steps,
        state=state,
        dtype=dtype,
        wrt_params=program.trainable,
        wrt_inputs=wrt_inputs,
        wrt_state=wrt_state,
        training=training,
        clock=clock,
    )
    given = {name: np.asarray(array) for name, array in targets.items()}
    ports, shapes = ports_of(loss), infer_shapes(program).shapes
    check_record(program, ports)
    signals = {port: (start.steps, start.batch, *shapes[port]) for port in ports}
    check_targets(loss, signals, {name: TargetArray(x.shape, str(x.dtype)) for name, x in given.items()})
    run = start.run(dict.fromkeys([*ports, *record]))
    with np.errstate(all="ignore"):
        value = loss_value(loss, {port: stack(run.signals[port]) for port in ports}, given)
    one = np.ones_like(value.value)
    return _collect(start, float(value.value), [(value, one)], observe(start, run, record))


def _real(program: Program) -> None:
    if program.formats:
        raise ProgramError(["a program of integers has no gradient; train the network that it was made from"])


def pullback(
    program: Program,
    params: Params,
    inputs: Mapping[str, Array],
    seeds: Mapping[str, Array],
    *,
    time_steps: int | None = None,
    state: Mapping[str, Array] | None = None,
    record: Sequence[str] = (),
    dtype: DTypeLike = np.float64,
    wrt_inputs: bool = False,
    wrt_state: bool = False,
    training: bool = True,
    clock: Clock | None = None,
) -> Gradients:
    """As `gradients`, of ``sum(seed * port)`` in place of a loss.

    Args:
        seeds: port -> ``[T, B, ...]``, the adjoint that reaches it from outside at every step.
    """
    _real(program)
    start = begin(
        program,
        params,
        inputs,
        time_steps=time_steps,
        state=state,
        dtype=dtype,
        wrt_params=program.trainable,
        wrt_inputs=wrt_inputs,
        wrt_state=wrt_state,
        training=training,
        clock=clock,
    )
    run = start.run(dict.fromkeys([*seeds, *record]))
    pairs: list[tuple[Var, Array]] = []
    for port, given in seeds.items():
        values, seed = run.signals[port], np.asarray(given, dtype)
        wanted = (len(values), *values[0].shape)
        if seed.shape != wanted:
            raise InputError(f"the seed of '{port}' has shape {list(seed.shape)}; accepted: {list(wanted)}")
        pairs += zip(values, seed, strict=True)
    value = sum(float((seed * x.value).sum()) for x, seed in pairs)
    return _collect(start, value, pairs, observe(start, run, record))


def _collect(start: Start, value: float, seeds: Sequence[tuple[Var, Array]], run: Execution) -> Gradients:
    """Pull the seeds back to everything that was asked for."""
    weights = {key: x for key, x in start.params.items() if x.tracked}
    inputs = start.inputs if start.wrt_inputs else {}
    memory = start.memory if start.wrt_state else {}
    asked = [*weights.values(), *chain(*inputs.values()), *chain(*memory.values())]
    adjoint = dict(zip(asked, pull(seeds, asked), strict=False))
    static = start.program.time.static_inputs
    return Gradients(
        loss=value,
        params={key: adjoint[x] for key, x in weights.items()},
        inputs={
            name: adjoint[values[0]] if name in static else np.stack([adjoint[x] for x in values])
            for name, values in inputs.items()
        },
        state=to_state(start.program, {key: [adjoint[x] for x in values] for key, values in memory.items()}),
        execution=run,
    )
