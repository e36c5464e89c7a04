"""What a reader's rule changes about a program's spikes, and how many on a sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from snnhw.errors import InputError
from snnhw.ir import Input, Neuron, Params, Program
from snnhw.reference import execute
from snnhw_nir.graph import Array
from snnhw_nir.targets.dialects import Dialect
from snnhw_nir.writing.neurons import acts_like

__all__ = ["ADVICE", "STEPS", "Change", "changes", "measured"]

STEPS: Final = 100
"""How long a sample is held."""

ADVICE: Final = (
    "Two ways on: train, or fine-tune, with reset_mechanism='zero' and reset_delay=False, which NIR can say; "
    "or pass lossy='allow' to write the file all the same"
)

_READS: Final = {
    "to_value": "reset to {v_reset}",
    "subtract": "reset by subtraction at once",
    "subtract_late": "reset by subtraction a step late",
}

_LATE: Final = {("Leaky", "subtract", "delayed"), ("Synaptic", "subtract_beta", "delayed")}
"""Resets that are those of a reader with ``subtract_late``."""


@dataclass(frozen=True)
class Change:
    """One neuron that becomes another; ``words`` say which. ``there``: its name in the graph."""

    node: str
    words: str
    there: str = ""


def changes(program: Program, dialect: Dialect) -> list[Change]:
    """The neurons whose spikes the reader may change."""
    found = []
    for name in program.named(Neuron):
        op = program.nodes[name]
        assert isinstance(op, Neuron)
        if dialect.reset == "subtract_late" and (op.model.name, op.reset, op.timing) in _LATE:
            continue
        like = acts_like(op)
        if like not in ("none", dialect.reset):
            was = "by subtraction at once" if like == "subtract" else like
            value = "v_reset" if "v_reset" in op.params() else "0"
            found.append(Change(name, f"reset {was} becomes {_READS[dialect.reset].format(v_reset=value)}"))
    return found


def measured(
    found: list[Change],
    program: Program,
    params: Params,
    reader: tuple[Program, Params],
    *,
    sample: Any,
    late: Mapping[str, int],
) -> list[str]:
    """The changes in words, each with the share of spikes that differ on the sample.

    Args:
        reader: the program that the reader makes of the file.
        late: neuron -> the steps by which its spikes are late there.
        sample: input name -> ``[B, ...]``, or one array; None: nothing is measured.
    """
    if sample is None:
        return [
            f"{change.node}: {change.words}; give a sample to see how many spikes differ" for change in found
        ]
    inputs = _inputs(program, sample)
    ports = [f"{change.node}.spk" for change in found]
    there = dict(zip(reader[0].named(Input), inputs.values(), strict=True)) if len(inputs) == 1 else inputs
    named = {port: f"{change.there or change.node}.spk" for change, port in zip(found, ports, strict=True)}
    ours, seen = _spikes(program, params, inputs, ports), _spikes(*reader, there, [*named.values()])
    said = []
    for change, port in zip(found, ports, strict=True):
        steps, size = late.get(change.node, 0), ours[port].shape[-1]  # one more may stand for a bias
        mine, theirs = ours[port][: STEPS - steps], seen[named[port]][steps:, ..., :size]
        differ, either = int((mine ^ theirs).sum()), int((mine | theirs).sum())
        share = f"{100 * differ / either:.0f} % of spikes differ" if either else "it never fires"
        said.append(f"{change.node}: {change.words}: {share} on your sample, held for {STEPS} steps")
    return said


def _spikes(
    program: Program, params: Params, inputs: Mapping[str, Array], ports: list[str]
) -> dict[str, Array]:
    steady = frozenset(program.time.static_inputs)
    held = {
        name: array if name in steady else np.broadcast_to(array, (STEPS, *array.shape))
        for name, array in inputs.items()
    }
    found = execute(program, params, held, time_steps=STEPS, record=ports).recordings
    return {port: array != 0 for port, array in found.items()}


def _inputs(program: Program, sample: Any) -> dict[str, Array]:
    names = program.named(Input)
    given = dict(sample) if isinstance(sample, Mapping) else {names[0]: sample}
    if set(given) != set(names):
        raise InputError(
            f"the sample is for {', '.join(given) or 'nothing'}; the inputs are {', '.join(names)}"
        )
    return {name: np.asarray(given[name], np.float64) for name in names}
