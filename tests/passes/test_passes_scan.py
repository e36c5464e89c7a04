"""The derived scan against loops written by hand, and how kernels are told apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from scan_cases import CASES, LEAKY, OTHERS, Case, by_hand

from snnhw.ir import (
    ATan,
    Expr,
    FastSigmoid,
    FrozenMap,
    Neuron,
    NeuronModel,
    Param,
    Pointwise,
    clamp,
    evaluate,
    free_variables,
    model,
    nearest,
    numpy_namespace,
    var,
)
from snnhw.ir.expr import count_nodes, topological
from snnhw.ir.models.family import RESET
from snnhw.passes import Layout, Request, ScanKernel, derive

Array = np.ndarray[Any, Any]
T, N = 7, 3


def request(case: Case, *, layout: Layout = "scalar", static: bool = False, **changes: Any) -> Request:
    settings: dict[str, Any] = {
        "outputs": case.outputs,
        "adjoints": case.outputs,
        "static": frozenset({"x"} if static else ()),
        "input_grads": frozenset({"x"}),
        "param_grads": frozenset(case.params),
        "layouts": FrozenMap(dict.fromkeys(case.params, layout)),
    }
    return Request(**{**settings, **changes})


# -- a kernel, as its documentation says it is to be run --------------------------------------------


def named(letter: str, arrays: Sequence[Any]) -> dict[str, Any]:
    return {f"{letter}{number}": array for number, array in enumerate(arrays)}


def run(exprs: Sequence[Expr], env: Mapping[str, Any]) -> list[Any]:
    return evaluate(exprs, env, numpy_namespace(np.float64))


def drive(
    kernel: ScanKernel,
    xs: Array,
    given: Mapping[str, Array],
    seeds: Sequence[Array],
    ends: Sequence[Array],
) -> tuple[list[Array], list[Array], dict[str, Array]]:
    """Outputs ``[T, N]``, final states, and the gradients by name."""
    static = kernel.static[0]
    params = named("p", [given[name] for name in kernel.params])
    values = named("v", run([value.expr for value in kernel.values], params))
    states = [np.broadcast_to(given[name], (N,)) for name in kernel.states]
    history, stacks = [states], []
    for t in range(T):
        env = {**values, **named("s", states), "x0": xs if static else xs[t]}
        found = run([*kernel.next_states, *kernel.output_exprs], env)
        states = found[: len(states)]
        history.append(states)
        stacks.append([np.broadcast_to(y, (N,)) for y in found[len(states) :]])

    adjoints: list[Any] = list(ends)
    dx = np.zeros_like(xs)
    sums: list[Any] = [np.zeros(N) for _ in kernel.values]
    for t in reversed(range(T)):
        env = {**values, **named("s", history[t]), **named("n", history[t + 1]), **named("a", adjoints)}
        env |= {"x0": xs if static else xs[t], **named("g", [seed[t] for seed in seeds])}
        wanted = [grad for grad in (*kernel.input_grads, *kernel.value_grads) if grad is not None]
        found = run([*kernel.carried, *wanted], env)
        adjoints, rest = found[: len(adjoints)], iter(found[len(adjoints) :])
        if kernel.input_grads[0] is not None:
            if static:
                dx += next(rest)
            else:
                dx[t] = next(rest)
        sums = [
            total if e is None else total + next(rest)
            for total, e in zip(sums, kernel.value_grads, strict=True)
        ]
    totals = [
        total.sum() if value.layout == "scalar" else total
        for total, value in zip(sums, kernel.values, strict=True)
    ]
    grads = dict(
        zip(kernel.epilogue, run([*kernel.epilogue.values()], {**params, **named("c", totals)}), strict=True)
    )
    outputs = [np.stack(column) for column in zip(*stacks, strict=True)]
    return outputs, list(states), {"x": dx, **grads, **dict(zip(kernel.states, adjoints, strict=True))}


def arrays(case: Case, layout: Layout, static: bool) -> tuple[Array, dict[str, Array]]:
    generator = np.random.default_rng(3)
    xs = generator.uniform(-0.5, 1.5, (N,) if static else (T, N))
    spread = np.linspace(0.9, 1.1, N) if layout == "neuron" else np.float64(1.0)
    given = {name: np.array(value * spread) for name, value in case.params.items()}
    given |= {name: generator.uniform(0.0, 1.5, N) for name in case.states}
    return xs, given


@pytest.mark.parametrize("static", [False, True], ids=["varying", "static"])
@pytest.mark.parametrize("layout", ["scalar", "neuron"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_equals_autograd_over_a_loop_by_hand(case: Case, layout: Layout, static: bool) -> None:
    generator = np.random.default_rng(4)
    xs, given = arrays(case, layout, static)
    seeds = [generator.normal(size=(T, N)) for _ in case.outputs]
    ends = [generator.normal(size=N) for _ in case.states]
    kernel = derive(case.step, request(case, layout=layout, static=static))
    outputs, states, grads = drive(kernel, xs, given, seeds, ends)
    tensors = {name: torch.tensor(array, dtype=torch.float64) for name, array in given.items()}
    wanted = by_hand(
        case,
        torch.tensor(xs),
        tensors,
        steps=T,
        seeds={port: torch.tensor(seed) for port, seed in zip(case.outputs, seeds, strict=True)},
        ends={name: torch.tensor(end) for name, end in zip(kernel.states, ends, strict=True)},
    )
    for port, output in zip(case.outputs, outputs, strict=True):
        np.testing.assert_allclose(
            output, wanted.outputs[port].detach(), rtol=1e-12, atol=1e-12, err_msg=port
        )
    assert 0 < outputs[0].sum() < outputs[0].size, "a case in which all or none fire shows little"
    for name, state in zip(kernel.states, states, strict=True):
        np.testing.assert_allclose(state, wanted.ends[name].detach(), rtol=1e-12, atol=1e-12, err_msg=name)
    assert set(grads) == set(wanted.grads)
    for name, grad in grads.items():
        np.testing.assert_allclose(grad, wanted.grads[name], rtol=1e-9, atol=1e-9, err_msg=name)


# -- what it consists of ----------------------------------------------------------------------------


def loop(kernel: ScanKernel) -> list[Expr]:
    grads = [grad for grad in (*kernel.input_grads, *kernel.value_grads) if grad is not None]
    return [*kernel.next_states, *kernel.output_exprs, *kernel.carried, *grads]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_loop_reads_no_parameter_and_computes_nothing_from_values_alone(case: Case) -> None:
    kernel = derive(case.step, request(case))
    assert not [name for name in free_variables(*loop(kernel)) if name.startswith("p")]
    for node in topological([*kernel.next_states, *kernel.output_exprs]):
        if node.args and node.sort == "real":
            reads = free_variables(node)
            assert not reads or not all(name.startswith("v") for name in reads), (
                f"{node!r} belongs in the prologue"
            )


def test_a_transcendental_of_parameters_is_computed_once() -> None:
    (case,) = (case for case in OTHERS if case.name == "prelude")
    kernel = derive(case.step, request(case))
    assert "log" not in {node.op for node in topological(loop(kernel))}
    assert [repr(value.expr) for value in kernel.values] == [
        "p1 * p1",
        "log(p0) / (log(p1) - log(p0)) + 1",
        "p2",
    ]


def test_names_in_expressions_are_the_kernels_own() -> None:
    for case in CASES:
        for name in free_variables(*loop(derive(case.step, request(case)))):
            assert name[0] in "sxnvag", name
            assert name[1:].isdigit(), name


def rounding(fine: str, rough: str) -> Pointwise:
    """Rounded to one table, then to another."""
    twice = nearest(nearest(var("x"), fine) + 1.0, rough)
    return Pointwise(FrozenMap({"y": twice}), parameters=(Param(fine), Param(rough)))


def test_tables_have_names_of_the_kernels_own() -> None:
    op = rounding("exec", "lambda_")
    kernel = derive(op.equations(), Request(("y",)))
    assert kernel.tables == ("t0", "t1")
    assert {str(node.data) for node in topological(kernel.output_exprs) if node.op == "nearest"} == {
        "t0",
        "t1",
    }


def test_only_what_is_wanted_is_derived() -> None:
    case = LEAKY[0]
    kernel = derive(
        case.step, request(case, adjoints=("spk",), input_grads=frozenset(), param_grads=frozenset({"beta"}))
    )
    assert kernel.input_grads == (None,)
    assert [grad is not None for grad in kernel.value_grads] == [True, False]
    assert list(kernel.epilogue) == ["beta"]
    assert kernel.adjoints == (True, False)
    assert "g1" not in free_variables(*loop(kernel))


def test_a_forward_kernel_derives_no_gradient_but_the_carried_one() -> None:
    case = LEAKY[0]
    kernel = derive(case.step, Request(case.outputs))
    assert kernel.input_grads == kernel.value_grads[:1] == (None,)
    assert not kernel.epilogue


def test_dt_is_a_constant() -> None:
    op = Pointwise(FrozenMap({"y": var("x") * var("dt")}))
    (expr,) = derive(op.equations(), Request(("y",), dt=0.25)).output_exprs
    assert repr(expr) == "x0 * 0.25"


@pytest.mark.parametrize(
    ("name", "forward", "backward"),
    [
        ("leaky-subtract-delayed", 23, 28),
        ("leaky-zero-retest", 26, 39),
        ("two-states", 27, 36),
        ("own-spikes", 27, 33),
    ],
)
def test_kernels_stay_small(name: str, forward: int, backward: int) -> None:
    (case,) = (case for case in CASES if case.name == name)
    kernel = derive(case.step, request(case))
    assert count_nodes([*kernel.next_states, *kernel.output_exprs]) <= forward
    assert count_nodes(loop(kernel)[len(kernel.next_states) + len(kernel.output_exprs) :]) <= backward


def test_next_states_are_read_rather_than_computed_again() -> None:
    kernel = derive(LEAKY[0].step, request(LEAKY[0]))
    (carried,) = kernel.carried
    assert "n0" in free_variables(carried)
    assert not set(kernel.next_states) & set(topological([carried]))


# -- keys -------------------------------------------------------------------------------------------


def leaky(mem: str, x: str, decay: str, theta: str, name: str) -> NeuronModel:
    """Leaky, with names of one's own."""
    u, current, beta = var(mem), var(x), clamp(var(decay), 0.0, 1.0)
    return model(
        name,
        states=mem,
        params=(Param(decay), Param(theta)),
        integrate={mem: beta * u + current},
        resets={"zero": {mem: beta * ((1.0 - RESET) * u) + current}},
        fire=u - var(theta),
        ports=(x,),
        membrane=mem,
        threshold=theta,
    )


def key_of(neuron: Neuron, **settings: Any) -> str:
    (mem,) = (state.name for state in neuron.model.states)
    beta, theta = (param.name for param in neuron.model.params)
    names = {"spk": "spk", "mem": mem, "x": neuron.model.ports[0], "beta": beta, "theta": theta}
    usual = {"outputs": ("spk", "mem"), "adjoints": ("spk",), "input_grads": ("x",), "param_grads": ("beta",)}
    told: dict[str, Any] = {**usual, "static": (), "layouts": {}, **settings}
    return derive(
        neuron.equations(),
        Request(
            outputs=tuple(names[port] for port in told["outputs"]),
            adjoints=tuple(names[port] for port in told["adjoints"]),
            static=frozenset(names[port] for port in told["static"]),
            input_grads=frozenset(names[port] for port in told["input_grads"]),
            param_grads=frozenset(names[param] for param in told["param_grads"]),
            layouts=FrozenMap({names[param]: layout for param, layout in told["layouts"].items()}),
        ),
    ).key


MINE = leaky("mem", "x", "beta", "theta", "Mine")


def test_equal_loops_have_equal_keys_whatever_their_names() -> None:
    renamed = leaky("potential", "current", "a_decay", "limit", "Renamed")
    assert key_of(Neuron(MINE)) == key_of(Neuron(renamed))
    tables = [
        derive(rounding(*names).equations(), Request(("y",))).key for names in (("fine", "rough"), ("a", "b"))
    ]
    assert tables[0] == tables[1]


DIFFERENT: dict[str, dict[str, Any]] = {
    "usual": {},
    "outputs": {"outputs": ("spk",)},
    "order": {"outputs": ("mem", "spk")},
    "adjoints": {"adjoints": ("spk", "mem")},
    "static": {"static": ("x",)},
    "layout": {"layouts": {"beta": "neuron"}},
    "other layout": {"layouts": {"theta": "neuron"}},
    "no input gradient": {"input_grads": ()},
    "no parameter gradient": {"param_grads": ()},
    "another parameter's": {"param_grads": ("theta",)},
}


def test_different_loops_have_different_keys() -> None:
    keys = {what: key_of(Neuron(MINE), **settings) for what, settings in DIFFERENT.items()}
    neurons = {
        "reset": Neuron(MINE, reset="zero"),
        "timing": Neuron(MINE, timing="immediate"),
        "surrogate": Neuron(MINE, surrogate=FastSigmoid()),
        "its setting": Neuron(MINE, surrogate=ATan(math.e)),
        "no gradient": Neuron(MINE, surrogate=None),
        "quantised": Neuron(MINE, quantised=True),
        "graded": Neuron(MINE, graded=True),
    }
    keys |= {what: key_of(neuron) for what, neuron in neurons.items()}
    twins = [(a, b) for a in keys for b in keys if a < b and keys[a] == keys[b]]
    assert not twins
