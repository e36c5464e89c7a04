"""The scan, derived once: what a pointwise node does per parameter, per step forward and backward.

A backend prints a `ScanKernel` in its own loop and decides where things lie in memory; it never
derives anything. Variables in the expressions have fixed names, so that names chosen by users never
reach generated code and equal structures share one compiled kernel:

    s0 s1 ...   states before the step         n0 n1 ...   states after it
    x0 x1 ...   inputs                         v0 v1 ...   per-parameter values
    p0 p1 ...   parameters (prologue, epilogue only)
    t0 t1 ...   tables of ``nearest``
    a0 a1 ...   adjoints of the states after the step, carried backwards in time
    g0 g1 ...   adjoints of the outputs at this step
    c0 c1 ...   adjoints of the values, summed over time and batch (epilogue only)

A *value* is a parameter that the equations use as it is, or a subexpression of parameters alone, which
the prologue computes once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as changed
from functools import cached_property, lru_cache
from typing import Final, Literal

import msgspec

from snnhw.ir import Expr, FrozenMap, StepEquations, const, gradient, topological, var
from snnhw.ir.expr import make, replace
from snnhw.ir.text import dump

__all__ = ["NOWHERE", "Layout", "Request", "ScanKernel", "Value", "derive"]

Layout = Literal["scalar", "neuron"]
"""How a value varies over a layer: not at all, or from neuron to neuron."""

NOWHERE: Final = const(0.0)
"""The derivative to what nothing that has one reads; expressions that are equal are one object."""


@dataclass(frozen=True)
class Request:
    """What is wanted of one node's scan.

    Attributes:
        outputs: ports to return, in order.
        adjoints: those of them through which a gradient arrives.
        static: inputs that do not change over time; their gradient is summed over time.
        input_grads: inputs whose gradient is wanted.
        param_grads: parameters whose gradient is wanted.
        layouts: layout of the parameters that are not scalar.
        dt: length of a step.
    """

    outputs: tuple[str, ...]
    adjoints: tuple[str, ...] = ()
    static: frozenset[str] = frozenset()
    input_grads: frozenset[str] = frozenset()
    param_grads: frozenset[str] = frozenset()
    layouts: FrozenMap[str, Layout] = field(default_factory=FrozenMap)
    dt: float = 1.0


@dataclass(frozen=True)
class Value:
    """A per-parameter value: its layout, how to get it, and whether its adjoint is wanted."""

    layout: Layout
    expr: Expr
    grad: bool


@dataclass(frozen=True, eq=False)
class ScanKernel:
    """One node's scan over time, forward and backward, as expressions.

    Attributes:
        states, inputs, params, outputs: the user's names, in the order of s, x, p, g.
        tables: t0, t1, ...: tables stand in the order of the step's.
        static: for each input, whether it has no time axis.
        layouts: for each parameter, how it varies.
        values: what the prologue computes, in the order of v; an adjoint is wanted of those that a
            derivative reads.
        next_states: each state after the step.
        output_exprs: each output of the step.
        adjoints: for each output, whether a gradient arrives through it.
        carried: adjoint of each state before the step, from those after it.
        input_grads: adjoint of each input, None where it is not wanted.
        value_grads: what one step adds to the adjoint of each value, None where it is not wanted.
        epilogue: parameter -> its gradient from the adjoints of the values.
    """

    states: tuple[str, ...]
    inputs: tuple[str, ...]
    params: tuple[str, ...]
    outputs: tuple[str, ...]
    tables: tuple[str, ...]
    static: tuple[bool, ...]
    layouts: tuple[Layout, ...]
    values: tuple[Value, ...]
    next_states: tuple[Expr, ...]
    output_exprs: tuple[Expr, ...]
    adjoints: tuple[bool, ...]
    carried: tuple[Expr, ...]
    input_grads: tuple[Expr | None, ...]
    value_grads: tuple[Expr | None, ...]
    epilogue: FrozenMap[str, Expr]

    @cached_property
    def key(self) -> str:
        """Names the compiled kernel: equal for equal loops, whatever values they carry, and whatever names
        as long as these sort alike."""
        wanted = [*self.input_grads, *self.value_grads]
        shape = {
            "loop": dump([*self.next_states, *self.output_exprs]),
            "back": dump([*self.carried, *(expr for expr in wanted if expr is not None)]),
            "wanted": [expr is not None for expr in wanted],
            "static": self.static,
            "adjoints": self.adjoints,
            "prologue": dump([value.expr for value in self.values]),
            "layouts": self.layouts,
            "counts": [len(self.states), len(self.output_exprs), len(self.tables)],
        }
        return hashlib.sha256(msgspec.json.encode(shape)).hexdigest()[:32]


@lru_cache(maxsize=4096)
def derive(step: StepEquations, request: Request) -> ScanKernel:
    """The scan of one pointwise step."""
    states = [state.name for state in step.states]
    renamed = {
        **_numbered("s", states),
        **_numbered("x", step.ports),
        **_numbered("p", step.params),
        "dt": const(request.dt),
    }
    roots = [step.updates[state] for state in states] + [step.outputs[port] for port in request.outputs]
    roots = _rename_tables(replace(roots, {var(name): own for name, own in renamed.items()}), step.tables)
    params = FrozenMap({name: renamed[name] for name in step.params})
    values, roots = _hoist(roots, params, request)
    updates, outputs = roots[: len(states)], roots[len(states) :]
    carried, input_grads, value_grads = _backward(step, request, updates, outputs, values)
    values = tuple(
        changed(value, grad=grad is not None) for value, grad in zip(values, value_grads, strict=True)
    )
    return ScanKernel(
        states=tuple(states),
        inputs=step.ports,
        params=step.params,
        outputs=request.outputs,
        tables=tuple(f"t{number}" for number in range(len(step.tables))),
        static=tuple(port in request.static for port in step.ports),
        layouts=tuple(request.layouts.get(name, "scalar") for name in step.params),
        values=values,
        next_states=tuple(updates),
        output_exprs=tuple(outputs),
        adjoints=tuple(port in request.adjoints for port in request.outputs),
        carried=carried,
        input_grads=input_grads,
        value_grads=value_grads,
        epilogue=_epilogue(values, params, request),
    )


def _numbered(letter: str, names: Sequence[str]) -> dict[str, Expr]:
    return {name: var(f"{letter}{number}") for number, name in enumerate(names)}


def _rename_tables(roots: Sequence[Expr], names: Sequence[str]) -> list[Expr]:
    own = {name: f"t{number}" for number, name in enumerate(names)}
    done: dict[Expr, Expr] = {}
    for node in topological(roots) if own else ():
        args = [done[arg] for arg in node.args]
        data = own[str(node.data)] if node.op == "nearest" else node.data
        done[node] = make(node.op, *args, data=data) if args else node
    return [done.get(root, root) for root in roots]


def _row(letter: str, count: int) -> list[Expr]:
    return [var(f"{letter}{number}") for number in range(count)]


def _hoist(
    roots: Sequence[Expr], params: Mapping[str, Expr], request: Request
) -> tuple[tuple[Value, ...], list[Expr]]:
    """Name the largest subexpressions of parameters alone as values, and use the names instead."""
    varying = {own for name, own in params.items() if request.layouts.get(name) == "neuron"}
    trained = {own for name, own in params.items() if name in request.param_grads}

    def value(node: Expr) -> Value:
        reads = set(topological([node]))
        return Value("neuron" if reads & varying else "scalar", node, bool(reads & trained))

    largest = _largest_alone(roots, set(params.values()))
    by = dict(zip(largest, _row("v", len(largest)), strict=True))
    return tuple(value(node) for node in largest), replace(roots, by)


def _largest_alone(roots: Sequence[Expr], leaves: set[Expr]) -> list[Expr]:
    """The largest real subexpressions that read some of the leaves and nothing else, in order."""
    alone = set(leaves)
    for node in topological(roots):
        if any(arg in alone for arg in node.args) and all(
            arg in alone or arg.op == "const" for arg in node.args
        ):
            alone.add(node)
    found: dict[Expr, None] = {}
    seen: set[Expr] = set()
    stack = list(reversed(roots))
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if node in alone and node.sort == "real":
            found[node] = None
        else:
            stack.extend(reversed(node.args))
    return list(found)


Wanted = tuple[Expr | None, ...]


def _backward(
    step: StepEquations, request: Request, updates: list[Expr], outputs: list[Expr], values: Sequence[Value]
) -> tuple[tuple[Expr, ...], Wanted, Wanted]:
    """One step backwards. What the step computed as a next state is read as n, not computed again."""
    roots, seeds = list(updates), _row("a", len(updates))
    for number, (port, output) in enumerate(zip(request.outputs, outputs, strict=True)):
        if port in request.adjoints:
            roots.append(output)
            seeds.append(var(f"g{number}"))
    wrt = [*_row("s", len(updates)), *_row("x", len(step.ports)), *_row("v", len(values))]
    stored = {update: var(f"n{number}") for number, update in enumerate(updates) if update.args}
    found = replace(gradient(roots, seeds, wrt), stored)
    carried, rest = found[: len(updates)], found[len(updates) :]
    inputs, adjoints = rest[: len(step.ports)], rest[len(step.ports) :]
    return (
        tuple(carried),
        tuple(e if port in request.input_grads else None for port, e in zip(step.ports, inputs, strict=True)),
        tuple(
            e if value.grad and e is not NOWHERE else None for value, e in zip(values, adjoints, strict=True)
        ),
    )


def _epilogue(values: Sequence[Value], params: Mapping[str, Expr], request: Request) -> FrozenMap[str, Expr]:
    """Gradients of the parameters from the summed adjoints of the values."""
    trained = {name: own for name, own in params.items() if name in request.param_grads}
    pairs = [
        (value.expr, own) for value, own in zip(values, _row("c", len(values)), strict=True) if value.grad
    ]
    roots, seeds = [root for root, _ in pairs], [seed for _, seed in pairs]
    found = gradient(roots, seeds, list(trained.values()))
    return FrozenMap(dict(zip(trained, found, strict=True)))
