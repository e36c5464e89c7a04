"""Class pointwise, going back: the adjoint of every input of a neuron, at every step, bit for bit.

An update shows sums of gradients, and sums have no order. Here each has one term: a *shift* is added to
what a neuron receives, at one step only, at another one for each neuron, and in one sample. Shifts are 0, so
that one step of SGD with a rate of 1 leaves what flowed back, as it came. Adjoints that arrive at the outputs
are random numbers, one for each port, step and neuron.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from snnhw.conformance.bench import SHIFT
from snnhw.conformance.case import Case, LazyCase
from snnhw.conformance.cases.making.harness import NODE, TIME, Subject, alone, observed, stepped
from snnhw.conformance.cases.making.neurons import Setting, backwards, common, settings
from snnhw.conformance.cases.making.numbers import Randoms
from snnhw.conformance.cases.making.search import chosen, lively
from snnhw.conformance.cases.making.variants import variants
from snnhw.conformance.cases.pointwise import TRANSCENDENTAL
from snnhw.ir import (
    SURROGATES,
    Edge,
    FrozenMap,
    Input,
    Neuron,
    Op,
    Output,
    Param,
    Pointwise,
    Program,
    Shape,
    StraightThrough,
    Surrogate,
    infer_shapes,
    topological,
    trainable,
    var,
)

__all__ = ["cases", "shifted"]

STEPS: Final = 8
SHAPE: Final[Shape] = (STEPS,)
"""A neuron for each step."""


def cases() -> Iterator[LazyCase]:
    """Every neuron, and every surrogate, as far as equations and slopes are sums, products and quotients."""
    for setting in settings():
        if backwards(setting):
            yield from _case(setting.name, setting, StraightThrough())
    for name, kind in SURROGATES.items():
        *_, (_, surrogate) = variants(kind)
        yield from _case(f"surrogate-{name}", common(), surrogate)


def _case(name: str, setting: Setting, surrogate: Surrogate) -> Iterator[LazyCase]:
    op = setting.neuron(SHAPE, surrogate)
    step = op.equations()
    used = {node.op for node in topological([*step.updates.values(), *step.outputs.values()])}
    if used & TRANSCENDENTAL or step.noise:
        return
    case_id, program = f"pointwise/{name}/step", shifted(op)

    def build(numbers: Randoms) -> Case:
        given = setting.values(NODE, SHAPE, numbers)
        given |= {f"{SHIFT}_{port}.{SHIFT}": np.zeros(SHAPE, np.float32) for port in op.in_ports}
        case = observed(case_id, program, numbers, given=given, time_steps=STEPS, batch=1)
        once = {f"at_{port}": np.eye(STEPS, dtype=np.float32)[:, None] for port in op.in_ports}
        return stepped(replace(case, inputs={**case.inputs, **once}), lr=1.0)

    yield chosen(case_id, build, lively)


def shifted(op: Neuron) -> Program:
    """The neuron, with a shift in front of each port and a seed behind each."""
    nodes: dict[str, Op] = {}
    edges = []
    for port in op.in_ports:
        shift = Pointwise(
            FrozenMap({"y": var("x") + var(SHIFT) * var("at")}),
            ports=("x", "at"),
            parameters=(Param(SHIFT, 0.0),),
            param_shapes=FrozenMap({SHIFT: SHAPE}),
        )
        name = f"{SHIFT}_{port}"
        nodes |= {port: Input(SHAPE), f"at_{port}": Input(SHAPE), name: shift}
        edges += [Edge(f"{port}.y", f"{name}.x"), Edge(f"at_{port}.y", f"{name}.at")]
        edges.append(Edge(f"{name}.y", f"{NODE}.{port}"))
    shapes = infer_shapes(alone(Subject("", op, dict.fromkeys(op.in_ports, SHAPE)))).shapes
    seeds = {port: f"seed_{port}" for port in op.out_ports}
    total = sum((var(port) * var(seed) for port, seed in seeds.items()), start=var("zero"))
    readout = Pointwise(FrozenMap({"y": total}), (*seeds, *seeds.values()), parameters=(Param("zero", 0.0),))
    nodes |= {NODE: op, "readout": readout, "out": Output()}
    nodes |= {seed: Input(shapes[f"{NODE}.{port}"]) for port, seed in seeds.items()}
    edges += [Edge(f"{NODE}.{port}", f"readout.{port}") for port in seeds]
    edges += [Edge(f"{seed}.y", f"readout.{seed}") for seed in seeds.values()]
    return trainable(Program(FrozenMap(nodes), (*edges, Edge("readout.y", "out.x")), TIME))
