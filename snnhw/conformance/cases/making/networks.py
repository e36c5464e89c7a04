"""Small networks of every shape the language has: dense, convolutional, recurrent, residual.

Each is a function of a neuron `Setting`, so that any model can be tried in any of them. A port of
the model besides the first is fed by a layer of its own from the same source.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from snnhw.conformance.cases.making.harness import TIME
from snnhw.conformance.cases.making.neurons import Setting, common
from snnhw.conformance.cases.making.numbers import Numbers
from snnhw.ir import (
    AvgPool2d,
    BatchNorm1d,
    Conv2d,
    Dropout,
    Edge,
    Flatten,
    FrozenMap,
    Input,
    Linear,
    MaxPool2d,
    NeuronModel,
    Op,
    Output,
    Program,
    Surrogate,
    trainable,
)
from snnhw.ir.ops import Shape
from snnhw.parity.arrays import Array

__all__ = ["NETWORKS", "CaseNetwork", "Make", "chancy", "dense", "recurrent", "tried_in", "unchanging"]


@dataclass(frozen=True)
class CaseNetwork:
    """A program, and which of its nodes are neurons: node -> setting and shape of its parameters."""

    program: Program
    neurons: Mapping[str, tuple[Setting, Shape]]

    def values(self, numbers: Numbers) -> dict[str, Array]:
        """Parameters of the neurons."""
        found: dict[str, Array] = {}
        for node, (setting, shape) in self.neurons.items():
            found |= setting.values(node, shape, numbers)
        return found


Make = Callable[[Setting, "Surrogate | None"], CaseNetwork]


class _Draft:
    """A program in the making."""

    def __init__(self, setting: Setting, surrogate: Surrogate | None, shape: Shape) -> None:
        self.setting, self.surrogate = setting, surrogate
        self.nodes: dict[str, Op] = {"x": Input(shape)}
        self.edges: list[Edge] = []
        self.neurons: dict[str, tuple[Setting, Shape]] = {}

    def layer(self, name: str, op: Op, source: str) -> str:
        """A stateless op, and where its output is."""
        self.nodes[name] = op
        self.edges.append(Edge(source, f"{name}.x"))
        return f"{name}.y"

    def neuron(self, name: str, feed: Op, source: str, shape: Shape) -> str:
        """Neurons behind a ``feed`` into each of their ports, and where their spikes are.

        ``shape`` is that of their parameters, when they have one.
        """
        for number, port in enumerate(self.setting.model.ports):
            fed = self.layer(f"{name}_in" + (f"_{port}" if number else ""), feed, source)
            self.edges.append(Edge(fed, f"{name}.{port}"))
        self.nodes[name] = self.setting.neuron(shape, self.surrogate)
        self.neurons[name] = (self.setting, shape)
        return f"{name}.{self.nodes[name].out_ports[0]}"

    def into(self, source: str, name: str, delay: int = 0) -> None:
        """One more edge into the first port of a neuron."""
        self.edges.append(Edge(source, f"{name}.{self.setting.model.ports[0]}", delay=delay))

    def network(self, **outputs: str) -> CaseNetwork:
        for name, source in outputs.items():
            self.nodes[name] = Output()
            self.edges.append(Edge(source, f"{name}.x"))
        return CaseNetwork(trainable(Program(FrozenMap(self.nodes), tuple(self.edges), TIME)), self.neurons)


def dense(
    setting: Setting, surrogate: Surrogate | None, sizes: tuple[int, int, int] = (6, 8, 4)
) -> CaseNetwork:
    """Two layers behind dense products."""
    inside, hidden, outside = sizes
    draft = _Draft(setting, surrogate, (inside,))
    first = draft.neuron("lif1", Linear(inside, hidden), "x.y", (hidden,))
    return draft.network(out=draft.neuron("lif2", Linear(hidden, outside), first, (outside,)))


def chancy(setting: Setting, surrogate: Surrogate | None) -> CaseNetwork:
    """Two layers, one normalised at every step by its own statistics, one with parameters for every step;
    between them elements are left out."""
    network = dense(setting, surrogate)
    nodes = {
        **network.program.nodes,
        "norm": BatchNorm1d(8),
        "left": Dropout(0.25),
        "held": Dropout(0.25, mask="held"),
        "through": BatchNorm1d(4, time_steps=12, bias=False),
    }
    inserted = {"lif1_in.y": ["norm"], "lif1.spk": ["left", "held"], "lif2_in.y": ["through"]}
    edges = []
    for edge in network.program.edges:
        source = edge.src
        for name in inserted.get(edge.src, []):
            edges.append(Edge(source, f"{name}.x"))
            source = f"{name}.y"
        edges.append(replace(edge, src=source))
    program = replace(network.program, nodes=FrozenMap(nodes), edges=tuple(edges))
    still = {"lif1_in.bias", "lif2_in.bias"}  # normalising takes them away: they have no gradient
    whole = trainable(program)
    return replace(network, program=replace(whole, trainable=whole.trainable - still))


def unchanging(setting: Setting, surrogate: Surrogate | None) -> CaseNetwork:
    """As `chancy`, of an input that does not change over time: its product is computed once, and what is
    normalised by its own statistics moves the running ones at every step."""
    network = chancy(setting, surrogate)
    time = replace(network.program.time, static_inputs=("x",))
    return replace(network, program=replace(network.program, time=time))


def recurrent(setting: Setting, surrogate: Surrogate | None) -> CaseNetwork:
    """A layer that feeds itself through a Linear, one step late; read out now and from two steps ago."""
    draft = _Draft(setting, surrogate, (6,))
    spikes = draft.neuron("lif1", Linear(6, 5), "x.y", (5,))
    draft.nodes["back"] = Linear(5, 5)
    draft.edges.append(Edge(spikes, "back.x", delay=1))
    draft.into("back.y", "lif1")
    last = draft.neuron("lif2", Linear(5, 4), spikes, (4,))
    draft.nodes["late"] = Linear(5, 4, bias=False)
    draft.edges.append(Edge(spikes, "late.x", delay=2, init=0.5))
    draft.into("late.y", "lif2")
    return draft.network(out=last)


def residual(setting: Setting, surrogate: Surrogate | None) -> CaseNetwork:
    """Three edges into one port, one of them past a layer, one from a state a step ago; two outputs."""
    draft = _Draft(setting, surrogate, (6,))
    first = draft.neuron("lif1", Linear(6, 5), "x.y", (5,))
    state = f"lif1.{setting.model.states[-1].name}"
    last = draft.neuron("lif2", Linear(5, 5), first, (5,))
    draft.into(first, "lif2")
    draft.into(state, "lif2", delay=1)
    return draft.network(out=last, state=state)


def _images(pool: Op) -> Make:
    def make(setting: Setting, surrogate: Surrogate | None) -> CaseNetwork:
        draft = _Draft(setting, surrogate, (2, 5, 4))
        first = draft.neuron("lif1", Conv2d(2, 3, (3, 3), padding=(1, 1)), "x.y", (3, 1, 1))
        flat = draft.layer("flat", Flatten(), draft.layer("pool", pool, first))
        return draft.network(out=draft.neuron("lif2", Linear(12, 4), flat, (4,)))

    return make


def deep(setting: Setting, surrogate: Surrogate | None) -> CaseNetwork:
    """Images through three layers of neurons: a product and a pool behind one, a view behind another."""
    draft = _Draft(setting, surrogate, (2, 6, 6))
    first = draft.neuron("lif1", Conv2d(2, 3, (3, 3), padding=(1, 1)), "x.y", (3, 1, 1))
    conv = draft.layer("conv", Conv2d(3, 3, (3, 3), padding=(1, 1)), first)
    pool = draft.layer("pool", MaxPool2d((2, 2), (2, 2)), conv)
    second = draft.neuron("lif2", Conv2d(3, 2, (1, 1)), pool, (2, 1, 1))
    flat = draft.layer("flat", Flatten(), second)
    return draft.network(out=draft.neuron("lif3", Linear(18, 4), flat, (4,)))


NETWORKS: Final[Mapping[str, Make]] = {
    "dense": dense,
    "recurrent": recurrent,
    "residual": residual,
    "convolutional": _images(AvgPool2d((2, 2), (2, 2))),
    "pooled": _images(MaxPool2d((2, 2), (2, 2))),
    "deep": deep,
}
"""Name -> the network for a setting and a surrogate."""


def tried_in(model: NeuronModel) -> Mapping[str, Make]:
    """The networks that a model is tried in: the common model in all of them, every other in a chain and
    in a loop. What else a network does, it does to any neuron."""
    return NETWORKS if model is common().model else {name: NETWORKS[name] for name in ("dense", "recurrent")}
