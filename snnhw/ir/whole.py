"""What makes a program one of integers, and everything that speaks against it.

Such a program has `snnhw.ir.Program.formats`: of every parameter, input and state. All of it is computed in
integers of 64 bits, where each operation is exact; widths are what the equations keep to by themselves, with
`snnhw.ir.integers`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from snnhw.errors import InputError
from snnhw.ir import ops
from snnhw.ir.expr import topological
from snnhw.ir.memory import delay_lines
from snnhw.ir.ops import Input, Neuron, Op, Pointwise
from snnhw.ir.primitives import PRIMITIVES
from snnhw.ir.program import Program
from snnhw.words import did_you_mean, listing

__all__ = ["WHOLE", "format_problems", "whole_inputs", "whole_state"]

WHOLE: Final[frozenset[type[Op]]] = frozenset(
    {
        *(ops.Input, ops.Output, ops.Add, ops.Neuron, ops.Pointwise, ops.Parameter),
        *(ops.Linear, ops.MatMul, ops.Scale, ops.Sum, ops.SaturatingLinear),
        *(ops.Conv1d, ops.Conv2d, ops.Conv3d),
        *(ops.Flatten, ops.Unflatten, ops.Reshape, ops.Concat, ops.Slice, ops.Gather),
        *(ops.MaxPool1d, ops.MaxPool2d, ops.SumPool1d, ops.SumPool2d),
    }
)
"""Ops that give whole numbers for whole numbers. Pointwise ops and neurons: if their equations do."""


def format_problems(program: Program) -> Iterator[str]:
    """What is wrong with a program that has formats; of one that has none, what would need them."""
    if not program.formats:
        for name, op in program.nodes.items():
            if op.whole_only:
                yield f"{name}: a {type(op).__name__} is of integers; give the program formats"
        return
    yield from _keys(program)
    if program.trainable:
        yield "it is one of integers, which is not trained; leave trainable empty"
    for name, op in program.nodes.items():
        yield from (f"{name}: {why}" for why in _node(op))
    for line in delay_lines(program):
        if isinstance(line.init, float) and not line.init.is_integer():
            yield f"{line.key}: it starts from {line.init}, but the program is one of integers"


def _keys(program: Program) -> Iterator[str]:
    """Formats of nothing, and what has none."""
    wanted = {*program.params(), *(f"{name}.y" for name in program.named(Input))}
    wanted |= {line.key for line in delay_lines(program) if not line.edge}
    ports = {f"{name}.{port}" for name, op in program.nodes.items() for port in op.out_ports}
    for key in program.formats:
        if key not in wanted | ports:
            yield f"format of '{key}': there is no such parameter or port.{did_you_mean(key, wanted | ports)}"
    missing = sorted(wanted - set(program.formats))
    if missing:
        yield f"it has formats, so that it is one of integers, but none of {listing(missing)}"


def _node(op: Op) -> Iterator[str]:
    if type(op) not in WHOLE:
        yield f"a {type(op).__name__} gives fractions, but the program is one of integers"
    if not isinstance(op, (Neuron, Pointwise)):
        return
    step = op.equations()
    if step.noise and isinstance(op, Neuron):
        yield "its equations draw random numbers, but the program is one of integers"
    for node in topological([*step.updates.values(), *step.outputs.values()]):
        if not PRIMITIVES[node.op].whole:
            yield f"its equations use '{node.op}', which gives fractions, but the program is one of integers"
        if isinstance(node.data, float) and not node.data.is_integer():
            yield f"its equations use {node.data:g}, but the program is one of integers"


def whole_inputs(program: Program, inputs: Mapping[str, npt.NDArray[Any]]) -> None:
    """Raise `InputError` unless every input of a program of integers is of its format."""
    for name, array in inputs.items():
        if f"{name}.y" in program.formats:
            program.formats[f"{name}.y"].check(array, f"input '{name}'")


def whole_state(program: Program, state: Mapping[str, npt.NDArray[Any]]) -> None:
    """Raise `InputError` unless the state of a program of integers holds integers, in their formats."""
    for key, array in state.items() if program.formats else ():
        if key in program.formats:
            program.formats[key].check(array, f"state '{key}'")
        elif not (np.asarray(array) == np.rint(array)).all():
            raise InputError(f"state '{key}' holds fractions, but the program is one of integers")
