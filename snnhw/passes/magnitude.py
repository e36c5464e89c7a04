"""How large the numbers of a program of integers get: a proof that floats hold every one of them.

Intervals follow from the formats of parameters, inputs and states, through every operation of a step. Where a
step leads out of the interval of a state or an edge, that is widened, to powers of two, until it leads into
itself. Where nothing on the way is beyond 2^24 in size, float32 computes each sum, product and comparison
exactly, in any order, and float64 up to 2^53. The floor of a quotient is exact there as well: what is no
whole number is further below the next one than a quotient is rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import log2, prod
from typing import Any, Final, Literal

from snnhw import ir
from snnhw.ir import Edge, Expr, Fixed, Input, Neuron, Op, Pointwise, Program
from snnhw.ir.expr import topological
from snnhw.passes.graph import components

__all__ = ["exact_float"]

Interval = tuple[float, float]
Intervals = dict[str, Interval]

FLOATS: Final[Mapping[Literal["float32", "float64"], float]] = {"float32": 2.0**24, "float64": 2.0**53}
"""Up to here a float holds every whole number."""


class _Unbounded(Exception):
    """Something is beyond what counts, or may be divided by 0."""


def exact_float(program: Program) -> Literal["float32", "float64"] | None:
    """The narrowest float in which a program of integers gives what integers give; None: none is known to.

    Parameters, inputs and states have to be of their formats.
    """
    for dtype, most in FLOATS.items():
        try:
            _close(program, most)
        except _Unbounded:
            continue
        return dtype
    return None


def _close(program: Program, most: float) -> None:
    """Widen what is carried from step to step until a step leads into it; all that is met is looked at."""
    order = [name for component in components(program) for name in component.nodes]
    late = [edge for edge in program.edges if edge.delay]
    states = {key: _of(program.formats[key]) for key in _states(program)}
    before = {**states, **{edge.key: _start(program, edge) for edge in late}}
    while True:
        ports: Intervals = {}
        for name in order:
            ports |= _given(program, name, ports, before, most)
        after = {key: ports[key] for key in states} | {edge.key: ports[edge.src] for edge in late}
        if all(_inside(after[key], before[key]) for key in before):
            return
        before = {key: _widened(before[key], after[key]) for key in before}


def _states(program: Program) -> list[str]:
    nodes = program.nodes.items()
    return [f"{n}.{state.name}" for n, op in nodes if isinstance(op, Neuron) for state in op.model.states]


def _start(program: Program, edge: Edge) -> Interval:
    """What is on an edge before the first step: also of a state that somebody gives."""
    first = _of(program.formats[edge.init]) if isinstance(edge.init, str) else (edge.init, edge.init)
    return _hull(first, _of(program.formats[edge.src])) if edge.src in program.formats else first


def _given(program: Program, name: str, ports: Intervals, before: Intervals, most: float) -> Intervals:
    """What a node gives at each of its ports, from those of this step and what is carried from before."""
    op, formats = program.nodes[name], program.formats
    own = {param: _of(formats[key]) for param, key in program.param_keys(name).items()}
    if isinstance(op, Input):
        return {f"{name}.y": _of(formats[f"{name}.y"])}
    arriving = {
        port: _sum([before[e.key] if e.delay else ports[e.src] for e in program.into(name, port)], most)
        for port in op.in_ports
    }
    if isinstance(op, (Neuron, Pointwise)):
        step = op.equations()
        kept = {state.name: before[f"{name}.{state.name}"] for state in step.states}
        known = {**own, **arriving, **kept, "dt": (program.time.dt, program.time.dt)}
        roots = [*step.updates.values(), *step.outputs.values()]
        found = _evaluated(roots, known, most)
        return {f"{name}.{port}": found[expr] for port, expr in step.outputs.items()} | {
            f"{name}.{state}": found[expr] for state, expr in step.updates.items()
        }
    rule = _OPS.get(type(op))
    if rule is None:
        raise _Unbounded(type(op).__name__)
    y, largest = rule(op, arriving, own)
    _held((-largest, largest), most)
    return {f"{name}.{port}": y for port in op.out_ports}


# -- intervals --------------------------------------------------------------------------------------


def _of(form: Fixed) -> Interval:
    return float(form.low), float(form.high)


def _hull(*each: Interval) -> Interval:
    return min(a for a, _ in each), max(b for _, b in each)


def _inside(inner: Interval, outer: Interval) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def _widened(before: Interval, after: Interval) -> Interval:
    if _inside(after, before):
        return before
    size = max(1.0, *map(abs, _hull(before, after)))
    half = 2.0 ** int(log2(size) + 1)
    return -half, half


def _held(x: Interval, most: float) -> Interval:
    if _size(x) > most:
        raise _Unbounded(str(x))
    return x


def _sum(each: list[Interval], most: float) -> Interval:
    """Of one after the other: sums on the way may be as large as all sizes together."""
    size = sum(map(_size, each))
    _held((-size, size), most)
    return sum(a for a, _ in each), sum(b for _, b in each)


def _times(a: Interval, b: Interval) -> Interval:
    ends = [x * y for x in a for y in b]
    return min(ends), max(ends)


def _floor_divided(a: Interval, b: Interval) -> Interval:
    if b[0] < 1 and b[1] > -1:
        raise _Unbounded("it may be divided by 0")
    ends = [x // y for x in a for y in b]
    return min(ends), max(ends)


def _absolute(a: Interval) -> Interval:
    low = 0.0 if a[0] <= 0 <= a[1] else min(map(abs, a))
    return low, max(map(abs, a))


_FUNCTIONS: Final[Mapping[str, Callable[..., Interval]]] = {
    "neg": lambda a: (-a[1], -a[0]),
    "abs": _absolute,
    "add": lambda a, b: (a[0] + b[0], a[1] + b[1]),
    "sub": lambda a, b: (a[0] - b[1], a[1] - b[0]),
    "mul": _times,
    "floordiv": _floor_divided,
    "minimum": lambda a, b: (min(a[0], b[0]), min(a[1], b[1])),
    "maximum": lambda a, b: (max(a[0], b[0]), max(a[1], b[1])),
    "greater": lambda a, b: (0.0, 1.0),
    "where": lambda condition, a, b: _hull(a, b),
    "graft": lambda value, *pairs: value,
}


def _evaluated(roots: list[Expr], known: Intervals, most: float) -> dict[Expr, Interval]:
    """Of each expression under some, the interval; derivatives that are grafted on are not computed."""
    found: dict[Expr, Interval] = {}
    for node in topological(roots):
        if node.op == "const":
            assert isinstance(node.data, float)
            found[node] = _held((node.data, node.data), most)
        elif node.op == "var":
            found[node] = known.get(str(node.data), (-1.0, 1.0))  # else a derivative's alone
        elif node.op in _FUNCTIONS:
            found[node] = _held(_FUNCTIONS[node.op](*(found[arg] for arg in node.args)), most)
        else:
            raise _Unbounded(node.op)
    return found


# -- ops --------------------------------------------------------------------------------------------

Rule = Callable[[Any, Intervals, Intervals], tuple[Interval, float]]
"""From what arrives and an op's parameters: what it gives, and the largest size on the way."""


def _size(x: Interval) -> float:
    return max(map(abs, x))


def _same(_: Op, xs: Intervals, __: Intervals) -> tuple[Interval, float]:
    y = _hull(*xs.values())
    return y, _size(y)


def _summed(terms: Callable[[Any], int]) -> Rule:
    """A sum of so many products, and a bias."""

    def rule(op: Any, xs: Intervals, own: Intervals) -> tuple[Interval, float]:
        size = terms(op) * _size(xs["x"]) * _size(own.get("weight", (1.0, 1.0)))
        size += _size(own.get("bias", (0.0, 0.0)))
        return (-size, size), size

    return rule


def _saturating(op: ir.SaturatingLinear, xs: Intervals, own: Intervals) -> tuple[Interval, float]:
    half = 2.0 ** (op.bits - 1)
    largest = _size(xs["x"]) * _size(own["weight"]) + max(half, _size(xs["start"]))
    return (-half, half - 1), largest


_OPS: Final[Mapping[type[Op], Rule]] = {
    **dict.fromkeys((ir.Output, ir.Add, ir.Flatten, ir.Unflatten, ir.Reshape, ir.Slice, ir.Concat), _same),
    ir.Linear: _summed(lambda op: op.in_features),
    **dict.fromkeys((ir.Conv1d, ir.Conv2d, ir.Conv3d), _summed(lambda op: op.in_channels * prod(op.kernel))),
    **dict.fromkeys((ir.SumPool1d, ir.SumPool2d), _summed(lambda op: prod(op.kernel))),
    ir.SaturatingLinear: _saturating,
}
"""Ops whose results have a bound here; a program with others is computed in integers."""
