"""Programs of integers: every word of chips' arithmetic, neurons that saturate, wrap and fire several times,
memories whose sums saturate in an order, delays, loops, products of images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import numpy as np

from snnhw.conformance.case import Case, LazyCase, ports_of, with_steps
from snnhw.conformance.expected import reference_run
from snnhw.ir import (
    Concat,
    Conv2d,
    Edge,
    Expr,
    Fixed,
    Flatten,
    FrozenMap,
    Input,
    Linear,
    Neuron,
    NeuronModel,
    Op,
    Output,
    Param,
    Params,
    Pointwise,
    Program,
    SaturatingLinear,
    Shape,
    SumPool2d,
    maximum,
    minimum,
    model,
    saturate,
    shift_right,
    toward_zero,
    variables,
    where,
    wrap,
)
from snnhw.parity.arrays import Array

__all__ = ["cases"]

STEPS: Final = 40
BATCH: Final = 3
BYTE, WORD = Fixed(8), Fixed(16)

a, b, x, i, u, v, threshold, decay, dash = variables("a b x i u v threshold decay dash")

WORDS: Final[Mapping[str, Expr]] = {
    "shift-right": shift_right(a, 3),
    "toward-zero": toward_zero(a * b, 4096.0),
    "saturate": saturate(a + b, 12),
    "wrap": wrap(a * b, 12),
    "floor-division": a // maximum(abs(b), 1.0),
    "floor-division-of-negatives": a // minimum(-abs(b), -1.0),
    "choice": where(a > b, minimum(a, 7.0), maximum(b, -7.0)) - abs(a),
}

_CURRENT = wrap(toward_zero(u * decay, 4096.0) + 64.0 * x, 18)
WRAPS: Final[NeuronModel] = model(
    "WrapsAndSaturates",
    states="u v",
    params=(Param("decay"), Param("threshold")),
    integrate={"u": _CURRENT, "v": saturate(toward_zero(v * decay, 4096.0) + _CURRENT, 18)},
    fire=v - threshold,
    membrane="v",
)
"""A current that wraps and a membrane that saturates, both decaying toward zero."""

_LEFT = v // dash
COUNTS: Final[NeuronModel] = model(
    "FiresOften",
    states="v",
    params=(Param("dash"), Param("threshold")),
    integrate={"v": saturate(v - where(abs(_LEFT) > 0.0, _LEFT, where(v > 0.0, 1.0, 0.0)) + x, 16)},
    fire=v - threshold * maximum(minimum((v - 1.0) // threshold, 5.0), 1.0),
    count=minimum((v - 1.0) // threshold, 5.0),
    membrane="v",
)
"""Subtracts its threshold as often as it fires, at most five times a step."""


@dataclass(frozen=True)
class _Net:
    """A program and its numbers."""

    nodes: Mapping[str, Op]
    edges: tuple[Edge, ...]
    formats: Mapping[str, Fixed]
    fixed: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # parameter -> from, to


def cases() -> Iterator[LazyCase]:
    """Every run is compared in every integer."""
    for name, word in WORDS.items():
        op = Pointwise(FrozenMap({"y": word}), ports=("a", "b"))
        edges = (Edge("p.y", "word.a"), Edge("q.y", "word.b"), Edge("word.y", "out.x"))
        nodes = {"p": Input((5,)), "q": Input((5,)), "word": op, "out": Output()}
        yield _case(name, _Net(nodes, edges, {"p.y": WORD, "q.y": WORD}))
    yield _case(
        "wraps", _layer(WRAPS, {"threshold": (2000, 120_000), "decay": (0, 4096)}, {"u": 18, "v": 18})
    )
    yield _case("fires-often", _layer(COUNTS, {"threshold": (20, 400), "dash": (1, 64)}, {"v": 16}))
    yield _case(
        "goes-on", _layer(WRAPS, {"threshold": (20, 400), "decay": (0, 4096)}, {"u": 18, "v": 18}), 17
    )
    yield _case("saturates-in-order", _recurrent())
    yield _case("image", _image())


def _layer(neuron: NeuronModel, params: Mapping[str, tuple[int, int]], states: Mapping[str, int]) -> _Net:
    """Input -> Linear, three steps late -> neurons that also hear themselves."""
    shaped: FrozenMap[str, Shape] = FrozenMap(dict.fromkeys(params, (6,)))
    op = Neuron(neuron, reset="subtract" if neuron is COUNTS else "zero", timing="immediate", surrogate=None,
                param_shapes=shaped)  # fmt: skip
    nodes = {
        "in": Input((4,)),
        "fc": Linear(4, 6),
        "back": Linear(6, 6, bias=False),
        "n": op,
        "out": Output(),
    }
    edges = (
        Edge("in.y", "fc.x", 3, init=1.0),
        Edge("n.spk", "back.x", 1),
        Edge("fc.y", "n.x"),
        Edge("back.y", "n.x"),
        Edge("n.spk", "out.x"),
    )
    formats = {"in.y": Fixed(3, signed=False), "fc.weight": BYTE, "fc.bias": BYTE, "back.weight": BYTE}
    formats |= {f"n.{name}": Fixed(bits) for name, bits in states.items()}
    formats |= {f"n.{name}": Fixed(18, signed=False) for name in params}
    return _Net(nodes, edges, formats, {f"n.{name}": span for name, span in params.items()})


def _recurrent() -> _Net:
    """A memory of 10 bits that inputs and late spikes are added to one after the other."""
    op = Neuron(COUNTS, reset="subtract", timing="immediate", surrogate=None)
    late = Pointwise(FrozenMap({"y": i - shift_right(i, 2)}), ports=("i",))
    nodes: dict[str, Op] = {
        "in": Input((4,)),
        "all": Concat(0, (4, 6)),
        "sum": SaturatingLinear(10, 6, bits=10),
        "left": late,
        "n": op,
        "out": Output(),
    }
    first, second = nodes["all"].in_ports
    edges = (
        Edge("in.y", f"all.{first}"),
        Edge("n.spk", f"all.{second}", 1),
        Edge("all.y", "sum.x"),
        Edge("left.y", "sum.start", 1),
        Edge("sum.y", "left.i"),
        Edge("left.y", "n.x"),
        Edge("n.spk", "out.x"),
    )
    formats = {"in.y": Fixed(4, signed=False), "sum.weight": BYTE, "n.v": WORD}
    formats |= {"n.threshold": WORD, "n.dash": WORD}
    return _Net(nodes, edges, formats, {"n.threshold": (20, 400), "n.dash": (1, 64)})


def _image() -> _Net:
    """A convolution, a pool of sums, a dense layer."""
    nodes = {
        "in": Input((2, 6, 6)),
        "conv": Conv2d(2, 3, (3, 3)),
        "pool": SumPool2d((2, 2), (2, 2)),
        "flat": Flatten(),
        "fc": Linear(12, 5, bias=False),
        "out": Output(),
    }
    edges = tuple(Edge(f"{p}.y", f"{q}.x") for p, q in zip([*nodes][:-1], [*nodes][1:], strict=True))
    formats = {"in.y": Fixed(2, signed=False)}
    return _Net(nodes, edges, formats | dict.fromkeys(("conv.weight", "conv.bias", "fc.weight"), BYTE))


def _case(name: str, net: _Net, resumed: int = 0) -> LazyCase:
    case_id = f"integer/{name}"
    return LazyCase(case_id, partial(_made, case_id, net, resumed))


def _made(case_id: str, net: _Net, resumed: int) -> Case:
    program = Program(FrozenMap(net.nodes), net.edges, formats=FrozenMap(net.formats))
    numbers = np.random.default_rng(list(case_id.encode()))

    def drawn(form: Fixed, shape: tuple[int, ...], span: tuple[int, int] | None = None) -> Array:
        low, high = span or (form.low, form.high)
        return numbers.integers(low, high, shape, endpoint=True)

    params: Params = {
        key: drawn(program.formats[key], spec.shape, net.fixed.get(key))
        for key, spec in program.params().items()
    }
    inputs = {
        name: drawn(program.formats[f"{name}.y"], (STEPS, BATCH, *op.shape))
        for name, op in net.nodes.items()
        if isinstance(op, Input)
    }
    case = Case(case_id, program, params, inputs, STEPS, record=ports_of(program))
    return case if not resumed else _continued(case, resumed)


def _continued(case: Case, after: int) -> Case:
    """The rest of a case, from the state after some steps."""
    first = reference_run(with_steps(case, slice(after)))
    return replace(with_steps(case, slice(after, None)), state=dict(first.state))
