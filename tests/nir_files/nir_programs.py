"""Random programs that NIR has a form for."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np

from snnhw.ir import (
    MODELS,
    Add,
    AvgPool2d,
    BatchNorm1d,
    Conv1d,
    Conv2d,
    Dropout,
    Edge,
    Flatten,
    FrozenMap,
    Input,
    Linear,
    Neuron,
    Op,
    Output,
    Params,
    Program,
    Scale,
    SumPool2d,
    TimeAxis,
    trainable,
)
from snnhw.ir.models.textbook import TEXTBOOK

Shape = tuple[int, ...]

OTHERS = ("Synaptic", "RLeaky", "RLeakySum", "RSynaptic", "Lapicque", "LapicqueDecay")
"""Neurons of snnTorch's besides Leaky: with a current, or with ears for themselves, or of resistors."""

LOSSLESS = [
    *(("Leaky", "zero", timing) for timing in ("delayed", "retest", "immediate")),
    *((name, "zero", timing) for name in OTHERS for timing in ("retest", "immediate")),
    *((name, MODELS[name].reset, "immediate") for name in TEXTBOOK),
]
"""Neurons that NIR can say."""

ALL = [
    (name, reset, timing)
    for name in ("Leaky", *OTHERS, *TEXTBOOK)
    for reset in MODELS[name].kinds
    for timing in MODELS[name].timings_of(reset)
]

RANGES = {
    "beta": (0.0, 1.0),
    "alpha": (0.0, 1.0),
    "threshold": (0.2, 1.0),
    "v_threshold": (0.2, 1.0),
    "v_reset": (-0.5, 0.1),
    "r": (1.0, 50.0),
    "R": (0.5, 2.0),
    "C": (2.0, 5.0),
    "time_step": (0.5, 1.0),
    "running_var": (0.2, 2.0),
    **dict.fromkeys(("tau", "tau_syn", "tau_mem"), (1e-3, 1e-2)),
}


@st.composite
def programs(draw: st.DrawFn, *, lossless: bool = False) -> tuple[Program, Params]:
    """A chain of layers and neurons, with loops around neurons, ways around them, and delays."""
    shape = draw(st.sampled_from([(3,), (2, 6), (2, 5, 4)]))
    textbook = draw(st.booleans())
    nodes: dict[str, Op] = {"input": Input(shape)}
    edges: list[Edge] = []
    last = "input.y"
    for number in range(draw(st.integers(1, 4))):
        name = draw(st.sampled_from(["net.l", "l", "0.b_"])) + str(number)
        op = nodes[name] = draw(layers(shape))
        edges.append(Edge(last, f"{name}.x", draw(st.sampled_from([0, 0, 0, 1, 3]))))
        shape, last = op.infer({"x": shape})["y"], f"{name}.y"
        if isinstance(op, Linear) and draw(st.integers(0, 3)) == 0:
            nodes[f"{name}.norm"] = BatchNorm1d(shape[0])
            edges.append(Edge(last, f"{name}.norm.x"))
            last = f"{name}.norm.y"
        before = last
        cell = f"{name}_n"
        neuron = nodes[cell] = draw(neurons(shape, textbook=textbook, lossless=lossless))
        edges.append(Edge(before, f"{cell}.x"))
        last = f"{cell}.{neuron.out_ports[0 if neuron.model.fire is not None else -1]}"
        if draw(st.booleans()):
            nodes[f"{cell}.back"] = Linear(shape[0], shape[0]) if len(shape) == 1 else Scale()
            delay = draw(st.sampled_from([1, 1, 1, 2]))
            edges += [Edge(last, f"{cell}.back.x", delay), Edge(f"{cell}.back.y", f"{cell}.x")]
        if draw(st.integers(0, 3)) == 0:
            nodes[f"{name}_sum"] = Add()
            edges += [Edge(before, f"{name}_sum.x"), Edge(last, f"{name}_sum.x")]
            last = f"{name}_sum.y"
    nodes["output"] = Output()
    time = TimeAxis(draw(st.sampled_from([1e-4, 1e-3])))
    program = trainable(Program(FrozenMap(nodes), (*edges, Edge(last, "output.x")), time))
    return program, _numbers(program, draw(st.integers(0, 2**16)))


def layers(shape: Shape) -> st.SearchStrategy[Op]:
    found: list[Op] = [Scale(), Scale(shape)]
    if len(shape) == 1:
        found += [Linear(shape[0], 4), Linear(shape[0], 2, bias=False), Dropout(0.5)]
    if len(shape) == 2:
        found += [Conv1d(shape[0], 3, (2,), padding=(1,)), Flatten()]
    if len(shape) == 3:
        found += [Flatten(), Flatten(1, 2), Conv2d(shape[0], 2, (2, 1), padding=(1, 0))]
        if min(shape[1:]) > 1:
            found += [AvgPool2d((2, 2), (1, 2)), SumPool2d((2, 2), (2, 1))]
    return st.sampled_from(found)


@st.composite
def neurons(draw: st.DrawFn, shape: Shape, *, textbook: bool, lossless: bool) -> Neuron:
    kinds = [kind for kind in (LOSSLESS if lossless else ALL) if (kind[0] in TEXTBOOK) == textbook]
    name, reset, timing = draw(st.sampled_from(kinds))
    model = MODELS[name]
    shaped = [param.name for param in model.params if draw(st.booleans())]
    return Neuron(
        model,
        reset=reset,
        timing=timing,
        graded=model.fire is not None and draw(st.integers(0, 3)) == 0,
        param_shapes=FrozenMap(dict.fromkeys(shaped, shape)),
    )


def _numbers(program: Program, seed: int) -> Params:
    generator = np.random.default_rng(seed)
    return {
        key: np.asarray(
            generator.uniform(*RANGES.get(key.rpartition(".")[2], (-1.0, 1.0)), spec.shape), np.float32
        )
        for key, spec in program.params().items()
    }
