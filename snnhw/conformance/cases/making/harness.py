"""Programs around one op, that make all of it visible from outside.

There is no way to ask a backend for a gradient, but one step of SGD shows that of every parameter. So
each input passes a *gain*, a weight per element, whose gradient is that of the input; and all outputs
meet in a *readout*, whose sum is the loss: it gives every output of every neuron at every step and
sample an adjoint of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from snnhw.conformance.case import Case, ports_of
from snnhw.conformance.cases.making.numbers import Numbers, fill
from snnhw.ir import (
    CLOCK,
    SGD,
    Edge,
    FrozenMap,
    Input,
    L1Rate,
    Loss,
    Op,
    Output,
    Param,
    Pointwise,
    Program,
    Term,
    TimeAxis,
    infer_shapes,
    trainable,
    var,
)
from snnhw.ir.inputs import state_shapes
from snnhw.ir.ops import Shape
from snnhw.parity.arrays import Array, Arrays

__all__ = [
    "NODE",
    "TIME",
    "Subject",
    "alone",
    "observed",
    "probed",
    "signals",
    "stepped",
    "with_state",
]

NODE = "subject"
TIME = TimeAxis(dt=2.0**-5)
"""Steps of a length that is not the usual one, lest it be taken for granted; dyadic; and short beside the
time constants of neurons, which would forget all they know within a longer one."""

LOSS = Loss((Term(L1Rate(), of="readout.y", weight=0.5),))


@dataclass(frozen=True)
class Subject:
    """The op that a case is about, and the shape of what arrives at each of its ports."""

    name: str
    op: Op
    shapes: Mapping[str, Shape]


def alone(subject: Subject) -> Program:
    """Inputs straight into the op, its first port straight out. Input nodes are named as the ports."""
    nodes: dict[str, Op] = {port: Input(shape) for port, shape in subject.shapes.items()}
    nodes |= {NODE: subject.op, "out": Output()}
    edges = [Edge(f"{port}.y", f"{NODE}.{port}") for port in subject.shapes]
    edges.append(Edge(f"{NODE}.{subject.op.out_ports[0]}", "out.x"))
    return Program(FrozenMap(nodes), tuple(edges), TIME)


def probed(subject: Subject) -> Program:
    """The op between gains and a readout, everything trainable."""
    nodes: dict[str, Op] = {}
    edges = []
    for port, shape in subject.shapes.items():
        gain = Pointwise(
            FrozenMap({"y": var("x") * var("gain")}),
            parameters=(Param("gain", 1.0),),
            param_shapes=FrozenMap({"gain": shape}),
        )
        nodes |= {port: Input(shape), f"gain_{port}": gain}
        edges += [Edge(f"{port}.y", f"gain_{port}.x"), Edge(f"gain_{port}.y", f"{NODE}.{port}")]
    shapes = infer_shapes(alone(subject)).shapes
    ports = subject.op.out_ports
    seen = {port: shapes[f"{NODE}.{port}"] for port in ports}
    nodes |= {NODE: subject.op, "seed": Input(seen[ports[0]]), "readout": _readout(seen), "out": Output()}
    edges += [Edge(f"{NODE}.{port}", f"readout.{port}") for port in ports]
    edges += [Edge("seed.y", "readout.seed"), Edge("readout.y", "out.x")]
    return trainable(Program(FrozenMap(nodes), tuple(edges), TIME))


def _readout(shapes: Mapping[str, Shape]) -> Pointwise:
    """The outputs, weighted, times a seed that varies over time and batch."""
    total = sum((var(port) * var(f"weight_{port}") for port in shapes), start=var("bias"))
    return Pointwise(
        FrozenMap({"y": total * var("seed")}),
        ports=(*shapes, "seed"),
        parameters=(Param("bias", 0.0), *(Param(f"weight_{port}", 1.0) for port in shapes)),
        param_shapes=FrozenMap({f"weight_{port}": shape for port, shape in shapes.items()}),
    )


def signals(program: Program, numbers: Numbers, time_steps: int, batch: int) -> dict[str, Array]:
    """An array for every input of a program."""
    found = {}
    for name in program.named(Input):
        op = program.nodes[name]
        assert isinstance(op, Input)
        lead = (batch,) if name in program.time.static_inputs else (time_steps, batch)
        found[name] = numbers.signal((*lead, *op.shape))
    return found


def observed(
    case_id: str,
    program: Program,
    numbers: Numbers,
    *,
    given: Arrays | None = None,
    time_steps: int,
    batch: int,
) -> Case:
    """A case that runs from rest and records every port of every node; its class begins its id."""
    return Case(
        id=case_id,
        program=program,
        params=fill(program, numbers, given or {}),
        inputs=signals(program, numbers, time_steps, batch),
        time_steps=time_steps,
        record=ports_of(program),
    )


def with_state(case: Case, numbers: Numbers) -> Case:
    """The case from a state that is not rest: some neurons are above their threshold, some below."""
    shapes = state_shapes(case.program, case.batch)
    state = {key: numbers.signal(shape) for key, shape in shapes.items()}
    if CLOCK in state:  # in the middle of some sequence
        state[CLOCK] = np.array([3.0, 2.0])
    return replace(case, state=state)


def stepped(case: Case, lr: float) -> Case:
    """The case with one step of SGD on the sum of its readout."""
    return replace(case, record=(), loss=LOSS, optimizer=SGD(lr=lr))
