"""Layers made of several ops: margin and gradient, behind a product and under every kind of feedback.

What such a layer computes is what its nodes and edges do, which other cases hold one by one; here they
meet: loops through products, gates cut from one signal, competition between a neuron's two halves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from snnhw.conformance.case import Case, LazyCase
from snnhw.conformance.cases.making.harness import TIME, observed
from snnhw.conformance.cases.making.neurons import EXACT_SURROGATE, LEVELS
from snnhw.conformance.cases.making.numbers import Numbers, Randoms
from snnhw.conformance.cases.making.search import certain, chosen, lively
from snnhw.ir import (
    MODELS,
    SGD,
    Conv2d,
    Edge,
    FrozenMap,
    Input,
    L1Rate,
    Linear,
    Loss,
    MaxPool2d,
    Neuron,
    Op,
    Output,
    Param,
    Program,
    Shape,
    Term,
    trainable,
)
from snnhw.ir.composites import (
    Composite,
    associative,
    behind,
    convolutional_lstm,
    dense_lstm,
    fully_connected,
    inhibited,
    pooled,
    recurrent,
    rounded,
    single,
    truncated,
)
from snnhw.parity.arrays import Arrays

__all__ = ["LAYERS", "cases"]

NAME: Final = "layer"
SIZE: Final = 5
IMAGE: Final[Shape] = (2, 4, 4)


@dataclass(frozen=True)
class LayerCase:
    """A composite called `NAME`.

    Attributes:
        shape: of one sample of its input.
        params: of the neuron in it, whose values are drawn within their bounds.
    """

    composite: Composite
    params: tuple[Param, ...]
    shape: Shape = (SIZE,)

    def program(self) -> Program:
        """Behind a product, so that a gradient to its input is seen; one output for each of its ports."""
        feed: Op = Linear(SIZE, SIZE) if len(self.shape) == 1 else Conv2d(2, 2, (1, 1))
        nodes = {"x": Input(self.shape), "feed": feed, **self.composite.nodes}
        edges = [Edge("x.y", "feed.x"), *self.composite.edges]
        edges += [Edge("feed.y", target) for targets in self.composite.inputs.values() for target in targets]
        for port, source in self.composite.outputs.items():
            nodes[f"out.{port}"] = Output()
            edges.append(Edge(source, f"out.{port}.x"))
        return trainable(Program(FrozenMap(nodes), tuple(edges), TIME))

    def values(self, program: Program, numbers: Numbers) -> Arrays:
        """The neuron's parameters."""
        specs = program.params()
        found = {f"{NAME}.{param.name}": (param, at) for at, param in enumerate(self.params)}
        levels = {key: LEVELS for key, spec in specs.items() if spec.table}
        return levels | {
            key: numbers.param(param, at, specs[key].shape)
            for key, (param, at) in found.items()
            if key in specs
        }


def cases() -> Iterator[LazyCase]:
    """Forward, and the gradient of every parameter."""
    for name, layer in LAYERS.items():
        yield chosen(f"margin/layer-{name}", _Forward(f"margin/layer-{name}", layer), lively, certain)
        yield chosen(f"gradient/layer-{name}", _Gradient(f"gradient/layer-{name}", layer), lively, certain)


@dataclass(frozen=True)
class _Forward:
    case_id: str
    layer: LayerCase

    def __call__(self, numbers: Randoms) -> Case:
        program = self.layer.program()
        given = self.layer.values(program, numbers)
        return observed(self.case_id, program, numbers, given=given, time_steps=8, batch=3)


@dataclass(frozen=True)
class _Gradient(_Forward):
    def __call__(self, numbers: Randoms) -> Case:
        """All outputs count, each with a weight of its own."""
        case = super().__call__(numbers)
        sources = dict.fromkeys(self.layer.composite.outputs.values())
        terms = tuple(Term(L1Rate(), of=port, weight=0.5 / n) for n, port in enumerate(sources, 1))
        return replace(case, record=(), loss=Loss(terms), optimizer=SGD(lr=1.0))


def _neuron(model: str, **options: str) -> Neuron:
    return Neuron(MODELS[model], surrogate=EXACT_SURROGATE, **{"reset": MODELS[model].reset, **options})  # type: ignore[arg-type]  # names of resets and timings


def _of(composite: Composite, op: Neuron, shape: Shape = (SIZE,)) -> LayerCase:
    return LayerCase(composite, op.model.params, shape)


def _recurrent(op: Neuron) -> LayerCase:
    return _of(recurrent(NAME, single(NAME, op), Linear(SIZE, SIZE)), op)


def _inhibited(op: Neuron) -> LayerCase:
    return _of(inhibited(NAME, op), op)


def _rounded(op: Neuron) -> LayerCase:
    filtered = single(f"{NAME}.filter", op, owner=NAME)
    return _of(rounded(NAME, filtered, replace(op, quantised=True)), op)


def _images() -> LayerCase:
    op = _neuron("LSTMCell", reset="subtract")
    layer = convolutional_lstm(
        NAME, single(f"{NAME}.cell", op, owner=NAME), in_channels=2, channels=2, kernel=(3, 3), bias=True
    )
    return _of(pooled(NAME, layer, MaxPool2d((2, 2), (2, 2)), op), op, IMAGE)


def _layers() -> dict[str, LayerCase]:
    leaky, summed, cell = _neuron("Leaky"), _neuron("RLeakySum"), _neuron("LSTMCell", reset="zero")
    truncating, rectified = _neuron("StateLeakyTruncated"), _neuron("Rectified")
    state, matrix = _neuron("StateLeaky"), _neuron("Associative")
    heard = recurrent(NAME, inhibited(NAME, summed), Linear(SIZE, SIZE))
    gates = dense_lstm(NAME, single(NAME, cell), inputs=SIZE, hidden=4, bias=True)
    filters = recurrent(NAME, single(NAME, summed), Conv2d(2, 2, (3, 3), padding=(1, 1)))
    full = fully_connected(NAME, single(NAME, rectified), Linear(4, 4))
    matrices = associative(NAME, features=SIZE, values=2, keys=3, op=matrix, query=True)
    return {
        "recurrent": _recurrent(summed),
        "recurrent-zero": _recurrent(_neuron("RLeakySum", reset="zero")),
        "recurrent-current": _recurrent(_neuron("Synaptic", timing="retest")),
        "recurrent-convolution": _of(filters, summed, IMAGE),
        "inhibited": _inhibited(leaky),
        "inhibited-retest": _inhibited(_neuron("Synaptic", timing="retest")),
        "inhibited-own-spikes": _inhibited(_neuron("RLeaky")),
        "inhibited-recurrent": _of(heard, summed),
        "lstm": _of(gates, cell),
        "lstm-images": _images(),
        "linear-state": _of(behind(NAME, Linear(SIZE, 4), single(NAME, state), node="linear"), state),
        "truncated": _of(truncated(NAME, truncating, 3), truncating),
        "rounded": _rounded(state),
        "fully-connected": _of(behind(NAME, Linear(SIZE, 4), full, node="input"), rectified),
        "associative": _of(matrices, matrix),
    }


LAYERS: Final[Mapping[str, LayerCase]] = _layers()
"""Name -> the layer."""
