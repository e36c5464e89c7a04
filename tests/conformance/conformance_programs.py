"""Random programs for hypothesis, made of what the registries of ops and models hold.

A program is a few layers of neurons. Each is fed by a Linear from the layer before, by another input, and by
itself some steps ago; between input and first layer stands an example of any op. So everything that can be
registered occurs, next to everything that can be wired, while the number of different kernels is that of the
settings to draw from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np
from hypothesis import strategies as st

from snnhw.conformance import Case
from snnhw.conformance.cases.making.examples import subjects
from snnhw.conformance.cases.making.harness import Subject, observed, with_state
from snnhw.conformance.cases.making.neurons import Setting, settings
from snnhw.conformance.cases.making.numbers import Randoms
from snnhw.ir import (
    Edge,
    Flatten,
    FrozenMap,
    Input,
    Linear,
    Neuron,
    Op,
    Output,
    Pointwise,
    Program,
    Reshape,
    Shape,
    TimeAxis,
    infer_shapes,
    trainable,
)
from snnhw.parity.arrays import Array

__all__ = ["OPS_TO_DRAW", "cases_of", "pool"]

OPS_TO_DRAW = [subject for subject in subjects() if not isinstance(subject.op, Pointwise)]
"""Stateless examples; a pointwise function is a kernel of its own, and is drawn with the neurons."""


def pool(size: int) -> list[Setting]:
    """So many neurons, evenly from all models, resets, timings and options; the same every time."""
    everything = list(settings())
    chosen = np.linspace(0, len(everything) - 1, min(size, len(everything)))
    return [everything[int(at)] for at in chosen]


@dataclass
class Draft:
    """A program in the making."""

    nodes: dict[str, Op] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)

    def add(self, name: str, op: Op, *sources: str) -> str:
        """A node, its input ports fed in order; where its first output is."""
        self.nodes[name] = op
        self.edges += [
            Edge(source, f"{name}.{port}") for port, source in zip(op.in_ports, sources, strict=True)
        ]
        return f"{name}.{op.out_ports[0]}" if op.out_ports else ""

    def shape(self, port: str) -> Shape:
        """Of a port, as far as the program has grown."""
        return infer_shapes(self.program()).shapes[port]

    def flat(self, name: str, source: str) -> tuple[str, int]:
        """The port as a vector, and its length."""
        shape = self.shape(source)
        if len(shape) != 1:
            source = self.add(name, Flatten() if shape else Reshape((1,)), source)
        return source, prod(shape)

    def program(self, static: tuple[str, ...] = ()) -> Program:
        return Program(FrozenMap(self.nodes), tuple(self.edges), TimeAxis(0.5, static))


@st.composite
def cases_of(draw: st.DrawFn, tried: Sequence[Setting], *, static: bool = True) -> Case:
    """A valid program of such neurons, with numbers, from rest or from any state.

    Args:
        static: whether its inputs may be static: a kernel whose input is static is another one.
    """
    draft = Draft()
    given: dict[str, Array] = {}
    source = _front(draft, draw(st.sampled_from(OPS_TO_DRAW)))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    numbers = Randoms(generator, draw(st.sampled_from([0.5, 1.0, 3.0])))
    for layer in range(draw(st.integers(1, 3))):
        setting, width = draw(st.sampled_from(tried)), draw(st.integers(2, 4))  # of 1: another kernel
        name = f"lif{layer}"
        source = draw(layers(draft, name, setting.neuron((width,)), source=source, width=width))
        given |= setting.values(name, (width,), numbers)
    draft.add("out", Output(), source)
    inputs = [name for name, op in draft.nodes.items() if isinstance(op, Input)]
    still = tuple(name for name in inputs if static and draw(st.booleans()))
    program = trainable(draft.program(still))
    steps, batch = draw(st.integers(1, 6)), draw(st.integers(1, 3))
    case = observed("margin/random", program, numbers, given=given, time_steps=steps, batch=batch)
    return with_state(case, numbers) if draw(st.booleans()) else case


def _front(draft: Draft, subject: Subject) -> str:
    """Inputs, and an op on them."""
    fed = [draft.add(f"in_{port}", Input(shape)) for port, shape in subject.shapes.items()]
    return draft.add("op", subject.op, *fed)


@st.composite
def layers(draw: st.DrawFn, draft: Draft, name: str, op: Neuron, *, source: str, width: int) -> str:
    """Neurons behind a Linear into each of their ports; where their spikes are."""
    vector, size = draft.flat(f"{name}_flat", source)
    fed = [
        draft.add(f"{name}_{port}", Linear(size, width, bias=draw(st.booleans())), vector)
        for port in op.in_ports
    ]
    spikes = draft.add(name, op, *fed)
    first = f"{name}.{op.in_ports[0]}"
    if draw(st.booleans()):  # itself, some steps ago: as it is, or through a Linear
        delay, init = draw(st.integers(1, 3)), draw(st.sampled_from([0.0, 0.5]))
        heard = f"{name}.{draw(st.sampled_from(op.out_ports))}"
        if draw(st.booleans()):
            draft.nodes[f"{name}_back"] = Linear(width, width)
            draft.edges += [Edge(heard, f"{name}_back.x", delay, init), Edge(f"{name}_back.y", first)]
        else:
            draft.edges.append(Edge(heard, first, delay, init))
    if draw(st.booleans()):  # one more input
        draft.edges.append(Edge(draft.add(f"{name}_more", Input((width,))), first))
    return spikes
