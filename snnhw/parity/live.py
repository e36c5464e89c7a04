"""A model in use, held to the reference: is it still the one of its parameters?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from snnhw.ir import Clock, Program
from snnhw.lowering import lower
from snnhw.parity.arrays import Arrays, hosts
from snnhw.parity.comparison import Parity, hold, is_reference, neuron_ports
from snnhw.parity.differ import same_result
from snnhw.parity.result import Disagreement
from snnhw.plugin import Backend, Executable, Result, Run

__all__ = ["Live", "hold_live"]


@dataclass(frozen=True)
class Live:
    """What was found.

    Attributes:
        parity: what the backend computes of the model's present parameters, held to the reference, spike by
            spike.
        apart: the first thing in which the model itself differs from one that is compiled afresh from its
            parameters, in words; "" where all bits are equal.
        is_reference: whether the model is the reference itself, which is held to nothing.
    """

    parity: Parity
    apart: str = ""
    is_reference: bool = False

    @property
    def ok(self) -> bool:
        """Whether the model is that of its parameters, and rounding explains all that it differs in from the
        reference."""
        return self.parity.ok and not self.apart

    def __str__(self) -> str:
        parity = self.parity
        if self.apart:
            return f"not the model of its parameters: {self.apart}; please report this"
        if not parity.ok:
            return f"beyond rounding from the reference: {parity.first}"
        if self.is_reference:
            return "the model of its parameters in every bit, and the reference itself"
        return (
            f"the model of its parameters in every bit; {parity.spikes_compared:,} spikes held to the "
            f"reference, {parity.excused_near_threshold:,} differ within rounding, which reaches "
            f"{parity.reach:.2g} from a threshold at most"
        )


def hold_live(
    executable: Executable,
    plugin: Backend,
    program: Program,
    job: Run,
    *,
    inputs: Arrays,
    state: Arrays | None = None,
) -> Live:
    """Run a compiled program as it is, one that is compiled afresh from its parameters, and the reference.

    Args:
        job: what the executable was compiled for.
        inputs: input name -> ``[T, B, ...]``, or ``[B, ...]`` when static.
        state: what to start from; None: from rest.

    Raises:
        InputError: the inputs do not fit.
    """
    params = {key: np.array(array) for key, array in executable.get_params().items()}
    found = _copied(executable.run(inputs, state))
    with lower(plugin, program, params, job) as fresh:
        apart = _apart(found, fresh.run(inputs, state))
    everything = replace(_to_run(job), record=neuron_ports(program))
    with lower(plugin, program, params, everything) as observed:
        seen = hosts(observed.run(inputs, state).recordings)
        if is_reference(plugin, seen):
            return Live(Parity(), apart, is_reference=True)
        given = hosts(inputs)
        parity = hold(
            program,
            params,
            given,
            seen,
            time_steps=_steps(program, given, job),
            state=None if state is None else hosts(state),
            clock=Clock(job.seed),
        )
    return Live(parity, apart)


def _copied(found: Result) -> Result:
    parts = (found.outputs, found.recordings, found.state)
    return Result(*({name: np.array(array) for name, array in hosts(part).items()} for part in parts))


def _apart(found: Result, wanted: Result) -> str:
    try:
        same_result(found, wanted)
    except Disagreement as error:
        return str(error)
    return ""


def _to_run(job: Run) -> Run:
    """The job without its training."""
    return Run(job.time_steps, job.sample_shapes, job.batch, job.record, job.options, job.seed)


def _steps(program: Program, inputs: Arrays, job: Run) -> int:
    varying = [array for name, array in inputs.items() if name not in program.time.static_inputs]
    return len(varying[0]) if varying else job.time_steps
