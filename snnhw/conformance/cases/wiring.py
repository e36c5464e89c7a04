"""Edges, names, static inputs and shared parameters: what connects nodes, one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from snnhw.conformance.case import Case, LazyCase, ports_of
from snnhw.conformance.cases.making.classify import classified
from snnhw.conformance.cases.making.harness import NODE, Subject, alone, observed, probed, stepped, with_state
from snnhw.conformance.cases.making.networks import dense
from snnhw.conformance.cases.making.neurons import common
from snnhw.conformance.cases.making.numbers import Dyadics, Randoms
from snnhw.conformance.cases.making.search import chosen, lively, provable
from snnhw.ir import (
    SGD,
    Add,
    CECount,
    Concat,
    Edge,
    FrozenMap,
    Input,
    L1Rate,
    Linear,
    Loss,
    Neuron,
    Op,
    Output,
    Pointwise,
    Program,
    StraightThrough,
    Term,
    TimeAxis,
    WinnerTakeAll,
    spike,
    trainable,
    var,
)
from snnhw.parity.arrays import Array

__all__ = ["cases"]

WIDTH: Final = 4
SHAPE: Final = (WIDTH,)
SCALAR: Final = common()
SHAPED: Final = replace(common(), shaped=True)

Nodes = Mapping[str, Op]


def cases() -> Iterator[LazyCase]:
    """All of them."""
    yield _three_edges()
    yield from _exact("bias-at-start", _feeding_back("back.y"), silent=True)
    yield from _exact("itself", _feeding_back("lif.spk"))
    yield from _exact("itself-two-late", _feeding_back("back.y", delay=2))
    yield from _exact("past-beside", _past_beside())
    yield from _exact("side-by-side", _side_by_side())
    yield from _exact("inhibition", _inhibition())
    yield from _exact("long-delay", _delayed(init=0.5), steps=2, state=True)
    yield from _exact("start-of-a-delay", _delayed(init="fc.bias"))
    yield from _exact("two-ways", _two_ways())
    yield from _exact("shared", _shared())
    yield from _exact("odd-names", _odd_names())
    yield from _static()
    yield _two_heads()


def _three_edges() -> LazyCase:
    """Edges into one port add up in listed order; in float32 another order gives other bits."""
    nodes: dict[str, Op] = {name: Input(SHAPE) for name in ("c", "a", "b")}
    nodes |= {"lif": SHAPED.neuron(SHAPE), "out": Output()}
    edges = [Edge(f"{name}.y", "lif.x") for name in ("b", "c", "a")]
    program = Program(FrozenMap(nodes), (*edges, Edge("lif.spk", "out.x")))
    name = "pointwise/three-edges"

    def build(numbers: Randoms) -> Case:
        given = SHAPED.values("lif", SHAPE, numbers)
        return observed(name, program, numbers, given=given, time_steps=20, batch=2)

    return chosen(name, build, lively)


def _net(nodes: Nodes, edges: list[tuple[str, str]], *delayed: Edge) -> Program:
    wires = [Edge(src, dst) for src, dst in edges]
    return trainable(Program(FrozenMap(nodes), (*wires, *delayed)))


def _feeding_back(source: str, delay: int = 1) -> Program:
    """A neuron that hears itself late: directly, or through a Linear, whose bias arrives at once."""
    nodes = {"x": Input(SHAPE), "fc": Linear(WIDTH, WIDTH), "lif": SCALAR.neuron(SHAPE), "out": Output()}
    edges = [("x.y", "fc.x"), ("fc.y", "lif.x"), ("lif.spk", "out.x")]
    if source == "lif.spk":
        return _net(nodes, edges, Edge("lif.spk", "lif.x", delay=delay))
    back = {**nodes, "back": Linear(WIDTH, WIDTH)}
    return _net(back, [*edges, ("back.y", "lif.x")], Edge("lif.spk", "back.x", delay=delay))


def _past_beside() -> Program:
    """A layer that sees its input beside its own spikes of a step ago: nothing else feeds that port."""
    nodes = {
        "x": Input((2,)),
        "both": Concat(0, (2, WIDTH)),
        "fc": Linear(2 + WIDTH, WIDTH),
        "lif": SCALAR.neuron(SHAPE),
        "out": Output(),
    }
    edges = [("x.y", "both.x0"), ("both.y", "fc.x"), ("fc.y", "lif.x"), ("lif.spk", "out.x")]
    return _net(nodes, edges, Edge("lif.spk", "both.x1", delay=1))


def _side_by_side() -> Program:
    """Edges that join the same two ports, one of them late, into a loop and within it; one is there twice."""
    nodes = {
        "x": Input(SHAPE),
        "fc": Linear(WIDTH, WIDTH),
        "lif": SCALAR.neuron(SHAPE),
        "back": Linear(WIDTH, WIDTH),
        "out": Output(),
    }
    edges = [
        ("x.y", "fc.x"),
        ("fc.y", "lif.x"),
        ("fc.y", "lif.x"),
        ("lif.spk", "back.x"),
        ("lif.spk", "out.x"),
    ]
    late = [
        Edge("fc.y", "lif.x", delay=2),
        Edge("lif.spk", "back.x", delay=3),
        Edge("back.y", "lif.x", delay=1),
    ]
    return _net(nodes, edges, *late)


def _inhibition() -> Program:
    """A neuron cut in two: between its membrane and its spikes, which are taken off it, the largest of the
    layer silences the others."""
    x, prev, mask = var("x"), var("prev"), var("mask")
    spk = spike(x - 1.0, StraightThrough()) * mask
    nodes = {
        "x": Input(SHAPE),
        "fc": Linear(WIDTH, WIDTH),
        "cell": Pointwise(FrozenMap({"y": prev * 0.5 + x}), ("x", "prev")),
        "winner": WinnerTakeAll(0),
        "fire": Pointwise(FrozenMap({"spk": spk, "mem": x - spk}), ("x", "mask")),
        "out": Output(),
    }
    edges = [("x.y", "fc.x"), ("fc.y", "cell.x"), ("cell.y", "winner.x"), ("cell.y", "fire.x")]
    edges += [("winner.y", "fire.mask"), ("fire.spk", "out.x")]
    return _net(nodes, edges, Edge("fire.mem", "cell.prev", delay=1))


def _delayed(init: float | str) -> Program:
    """Spikes that arrive three steps late, and what arrives before them."""
    nodes = {
        "x": Input(SHAPE),
        "fc": Linear(WIDTH, WIDTH),
        "lif": SCALAR.neuron(SHAPE),
        "sum": Add(),
        "out": Output(),
    }
    edges = [("x.y", "fc.x"), ("fc.y", "lif.x"), ("lif.mem", "sum.x"), ("sum.y", "out.x")]
    return _net(nodes, edges, Edge("lif.spk", "sum.x", delay=3, init=init))


def _two_ways() -> Program:
    """Two inputs, three outputs; one of them returns an input as it came, two return the same port."""
    nodes = {
        "x": Input(SHAPE),
        "y": Input((2,)),
        "fc": Linear(2, WIDTH),
        "lif": SCALAR.neuron(SHAPE),
        "same": Output(),
        "spikes": Output(),
        "again": Output(),
    }
    edges = [("x.y", "lif.x"), ("y.y", "fc.x"), ("fc.y", "lif.x"), ("x.y", "same.x")]
    return _net(nodes, [*edges, ("lif.spk", "spikes.x"), ("lif.spk", "again.x")])


def _shared() -> Program:
    """Two layers with the same weights, two neurons with the same threshold: gradients add up."""
    weights = FrozenMap({"weight": "fc1.weight", "bias": "fc1.bias"})
    nodes = {
        "x": Input(SHAPE),
        "fc1": Linear(WIDTH, WIDTH),
        "lif1": SCALAR.neuron(SHAPE),
        "fc2": Linear(WIDTH, WIDTH, keys=weights),
        "lif": replace(SCALAR.neuron(SHAPE), keys=FrozenMap({"threshold": "lif1.threshold"})),
        "out": Output(),
    }
    chain = ["x.y", "fc1.x", "fc1.y", "lif1.x", "lif1.spk", "fc2.x", "fc2.y", "lif.x", "lif.spk", "out.x"]
    return _net(nodes, list(zip(chain[::2], chain[1::2], strict=True)))


def _odd_names() -> Program:
    """Names that mean something to Python, to file systems or to generated code."""
    nodes = {
        "lambda": Input(SHAPE),
        "0": Linear(WIDTH, WIDTH),
        "class.None.__init__": SCALAR.neuron(SHAPE),
        "x" * 200: Linear(WIDTH, WIDTH),
        "lif": SCALAR.neuron(SHAPE),
        "import.out": Output(),
    }
    names = list(nodes)
    ports = [("y", "x"), ("y", "x"), ("spk", "x"), ("y", "x"), ("spk", "x")]
    pairs = zip(names, names[1:], ports, strict=False)
    return _net(nodes, [(f"{a}.{out}", f"{b}.{into}") for a, b, (out, into) in pairs])


def _exact(
    name: str, program: Program, *, steps: int = 6, state: bool = False, silent: bool = False
) -> Iterator[LazyCase]:
    """A network forward, and through a step of training on what its last neuron gives."""
    ports = {"lif.spk": 0.5, "lif.mem": 0.25, "sum.y": 0.5, "fire.spk": 0.5, "fire.mem": 0.25}.items()
    seen = ports_of(program)
    loss = Loss(tuple(Term(L1Rate(), of=port, weight=weight) for port, weight in ports if port in seen))

    def build(case_id: str, longest: int, numbers: Dyadics) -> Case:
        given: dict[str, Array] = {}
        for neuron in program.named(Neuron):
            given |= SCALAR.values(neuron, SHAPE, numbers)
        case = observed(case_id, program, numbers, given=given, time_steps=min(steps, longest), batch=2)
        if silent:
            case = replace(case, inputs={key: np.zeros_like(x) for key, x in case.inputs.items()})
        case = with_state(case, numbers) if state else case
        return (
            replace(case, record=(), loss=loss, optimizer=SGD(lr=0.5)) if case_id.endswith("/step") else case
        )

    for case_id in (f"exact/{name}", f"exact/{name}/step"):
        yield provable(case_id, partial(build, case_id))


def _static() -> Iterator[LazyCase]:
    """An input that does not change over time: given once, its gradient a sum over all steps."""
    subject = Subject("", SHAPED.neuron(SHAPE), {"x": SHAPE})

    def build(case_id: str, steps: int, numbers: Dyadics) -> Case:
        train = case_id.endswith("/step")
        program = replace(probed(subject) if train else alone(subject), time=TimeAxis(static_inputs=("x",)))
        given = SHAPED.values(NODE, SHAPE, numbers)
        case = observed(case_id, program, numbers, given=given, time_steps=steps, batch=2)
        return stepped(case, lr=0.5) if train else case

    for case_id in ("exact/static", "exact/static/step"):
        yield provable(case_id, partial(build, case_id))


def _two_heads() -> LazyCase:
    """Two terms of a loss, each with a target of its own."""
    loss = Loss((Term(CECount(), of="lif1.spk", target="kind"), Term(CECount(), of="lif2.spk", weight=0.5)))
    return classified("gradient/two-heads", dense(SHAPED, StraightThrough()), loss, SGD(lr=1.0))
