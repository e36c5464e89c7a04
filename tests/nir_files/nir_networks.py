"""Random networks of what simulators have in common: layers, neurons, recurrence, ways around."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
from nir_calls import neuron

from snnhw.ir import (
    Add,
    AvgPool2d,
    Conv2d,
    Edge,
    Flatten,
    FrozenMap,
    Input,
    Linear,
    Op,
    Output,
    Params,
    Program,
    Scale,
    SumPool2d,
)

Shape = tuple[int, ...]

RANGES = {"beta": (0.0, 1.0), "alpha": (0.0, 1.0), "threshold": (0.2, 1.0)}


@st.composite
def networks(draw: st.DrawFn) -> tuple[Program, Params]:
    """Layers and neurons that are reset to 0; decays are shared or each neuron's own."""
    shape: Shape = draw(st.sampled_from([(4,), (2, 6, 6)]))
    own = draw(st.booleans())
    nodes: dict[str, Op] = {"input": Input(shape)}
    edges: list[Edge] = []
    last, feeders = "input.y", []
    for number in range(draw(st.integers(1, 4))):
        name = draw(st.sampled_from(["net.l", "l", "b_", "z"])) + str(number)
        op = nodes[name] = draw(layers(shape))
        edges.append(Edge(last, f"{name}.x"))
        shape, last = op.infer({"x": shape})["y"], f"{name}.y"
        if draw(st.integers(0, 4)) == 0:
            continue
        cell = name + draw(st.sampled_from(["_n", ".n"]))
        kind = draw(st.sampled_from(["Leaky", "Leaky", "Synaptic", "RLeaky"]))
        timing = draw(st.sampled_from(["immediate", "retest"] + ["delayed"] * (kind == "Leaky")))
        decays = ("alpha", "beta") if kind == "Synaptic" else ("beta",)
        nodes[cell] = neuron(kind, "zero", timing, **dict.fromkeys(decays if own else (), shape))
        edges.append(Edge(last, f"{cell}.x"))
        feeders.append((cell, shape))
        if len(shape) == 1 and draw(st.integers(0, 2)) == 0:  # what all of a layer, or an earlier one, hear
            heard, width = draw(st.sampled_from([each for each in feeders if len(each[1]) == 1]))
            back = draw(st.sampled_from([f"{cell}.back", f"a{number}"]))
            nodes[back] = Linear(shape[0], width[0], bias=draw(st.booleans()))
            late = [Edge(f"{cell}.spk", f"{back}.x", 1), Edge(f"{back}.y", f"{heard}.x")]
            edges += late if draw(st.booleans()) else late[::-1]
        if draw(st.integers(0, 5)) == 0:
            nodes[f"{name}_sum"] = Add()
            edges += [Edge(last, f"{name}_sum.x"), Edge(f"{cell}.spk", f"{name}_sum.x")]
            last = f"{name}_sum.y"
        else:
            last = f"{cell}.spk"
    nodes["output"] = Output()
    program = Program(FrozenMap(nodes), (*edges, Edge(last, "output.x")))
    return program, _numbers(program, draw(st.integers(0, 2**16)))


def layers(shape: Shape) -> st.SearchStrategy[Op]:
    if len(shape) == 1:
        return st.sampled_from([Linear(shape[0], 3), Linear(shape[0], 5, bias=False), Scale(shape)])
    found: list[Op] = [Flatten(), Scale()]
    if len(shape) == 3:
        found += [Flatten(1, 2)]
        found.append(Conv2d(shape[0], 3, (3, 3), padding=(1, 1)))
        if min(shape[1:]) > 1:
            found += [Conv2d(shape[0], 2, (1, 2), stride=(1, 2), bias=False)]
            found += [AvgPool2d((2, 2), (2, 2)), SumPool2d((2, 2), (1, 2)), AvgPool2d((2, 2), (2, 2), (1, 0))]
    return st.sampled_from(found)


def _numbers(program: Program, seed: int) -> Params:
    generator = np.random.default_rng(seed)
    return {
        key: np.asarray(
            generator.uniform(*RANGES.get(key.rpartition(".")[2], (-1.0, 1.0)), spec.shape), np.float32
        )
        for key, spec in program.params().items()
    }
