"""The tape: each primitive's derivative, the conventions, and agreement with the symbolic gradient."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch
from reference_nets import Array, alone, signal

from snnhw.ir import (
    MODELS,
    PRIMITIVES,
    SURROGATES,
    ATan,
    Expr,
    Neuron,
    NeuronModel,
    Param,
    StraightThrough,
    Surrogate,
    clamp,
    evaluate,
    expr,
    gradient,
    graft,
    model,
    nearest,
    numpy_namespace,
    stop_gradient,
    var,
    variables,
    where,
)
from snnhw.reference import pullback
from snnhw.reference.arrays import total
from snnhw.reference.elementwise import add, mul, namespace
from snnhw.reference.tape import Var, constant, leaf, pull, tracked

a, b = variables("a b")


def slopes(root: Expr, **values: float | Array) -> list[Array]:
    """The value's derivative to each variable, in the order given."""
    env = {name: leaf(np.asarray(value, float)) for name, value in values.items()}
    (found,) = evaluate([root], env, namespace())
    return pull([(found, np.ones(found.shape))], list(env.values()))


def test_the_namespace_has_every_primitive() -> None:
    assert set(namespace()) == set(PRIMITIVES) - {"var"}


# Derivatives that torch agrees about, away from kinks and ties.
SMOOTH: dict[str, tuple[Expr, Callable[..., torch.Tensor]]] = {
    "add": (a + b, lambda a, b: a + b),
    "sub": (a - b, lambda a, b: a - b),
    "mul": (a * b, lambda a, b: a * b),
    "div": (a / b, lambda a, b: a / b),
    "neg": (-a + b, lambda a, b: -a + b),
    "abs": (abs(a) * b, lambda a, b: a.abs() * b),
    "exp": (expr.exp(a) + b, lambda a, b: a.exp() + b),
    "log": (expr.log(b) + a, lambda a, b: b.log() + a),
    "sqrt": (expr.sqrt(b) + a, lambda a, b: b.sqrt() + a),
    "sigmoid": (expr.sigmoid(a) * b, lambda a, b: a.sigmoid() * b),
    "tanh": (expr.tanh(a) * b, lambda a, b: a.tanh() * b),
    "atan": (expr.atan(a) * b, lambda a, b: a.atan() * b),
    "minimum": (expr.minimum(a, b), torch.minimum),
    "maximum": (expr.maximum(a, b), torch.maximum),
    "where": (where(a > b, a * a, b), lambda a, b: torch.where(a > b, a * a, b)),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives_are_those_of_torch(name: str) -> None:
    root, same = SMOOTH[name]
    numbers = np.random.default_rng(0)
    x, y = numbers.normal(size=(4, 3)), numbers.uniform(0.1, 2.0, 3)  # b broadcasts
    tx, ty = torch.tensor(x, requires_grad=True), torch.tensor(y, requires_grad=True)
    same(tx, ty).sum().backward()
    for ours, theirs in zip(slopes(root, a=x, b=y), (tx.grad, ty.grad), strict=True):
        assert theirs is not None
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-12)


def test_the_slope_of_abs_at_zero_is_zero() -> None:
    assert slopes(abs(a), a=0.0) == [0.0]


@pytest.mark.parametrize("choose", [expr.minimum, expr.maximum])
def test_at_a_tie_the_gradient_goes_to_the_second_operand(choose: Callable[[Expr, Expr], Expr]) -> None:
    assert slopes(choose(a, b), a=1.0, b=1.0) == [0.0, 1.0]


@pytest.mark.parametrize(("at", "slope"), [(-0.1, 0), (0.0, 1), (0.5, 1), (1.0, 1), (1.1, 0)])
def test_the_slope_of_a_clamp_is_one_on_the_closed_interval(at: float, slope: float) -> None:
    assert slopes(clamp(a, 0.0, 1.0), a=at) == [slope]


def test_sigmoid_overflows_on_neither_side() -> None:
    (found,) = evaluate([expr.sigmoid(a)], {"a": constant(np.array([-1e3, 0.0, 1e3]))}, namespace())
    np.testing.assert_array_equal(found.value, [0.0, 0.5, 1.0])


def test_nearest_takes_the_lower_level_at_a_tie_and_has_slope_one() -> None:
    env = {"a": leaf(np.array([0.5, 0.6, -9.0])), "levels": constant(np.array([0.0, 1.0]))}
    (found,) = evaluate([nearest(a, "levels")], env, namespace())
    np.testing.assert_array_equal(found.value, [0.0, 1.0, 0.0])
    (slope,) = pull([(found, np.array([1.0, 2.0, 3.0]))], [env["a"]])
    np.testing.assert_array_equal(slope, [1.0, 2.0, 3.0])


def test_a_graft_has_the_slopes_it_was_given_and_no_other() -> None:
    assert slopes(graft(a * b, {a: b * b}), a=2.0, b=3.0) == [9.0, 0.0]
    assert slopes(stop_gradient(a * b), a=2.0, b=3.0) == [0.0, 0.0]


def test_the_slopes_of_a_graft_may_have_a_larger_shape_than_its_value() -> None:
    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(slopes(graft(b, {a: a}), a=x, b=1.0)[0], x)


def test_adjoints_are_summed_over_broadcast_axes() -> None:
    x, column, scalar = leaf(np.ones((2, 3))), leaf(np.ones((2, 1))), leaf(np.array(1.0))
    y = mul(mul(x, column), scalar)
    dx, dcolumn, dscalar = pull([(y, np.arange(6.0).reshape(2, 3))], [x, column, scalar])
    np.testing.assert_array_equal(dx, [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(dcolumn, [[3], [12]])
    np.testing.assert_array_equal(dscalar, 15)


def test_seeds_of_one_value_add_up() -> None:
    x = leaf(np.array([1.0, 2.0]))
    (dx,) = pull([(x, np.array([1.0, 1.0])), (mul(x, x), np.array([1.0, 10.0]))], [x])
    np.testing.assert_array_equal(dx, [3.0, 41.0])


def test_what_is_not_tracked_has_no_gradient_and_keeps_no_tape() -> None:
    x, y = constant(np.array(2.0)), leaf(np.array(3.0))
    assert mul(x, x).parents == ()
    assert len(mul(x, y).parents) == 1
    assert pull([(mul(x, y), np.array(1.0))], [x, y]) == [0.0, 2.0]


def test_a_tracked_value_passes_its_adjoint_on() -> None:
    x = leaf(np.array(2.0))
    y = tracked(mul(x, x))
    assert pull([(mul(y, y), np.array(1.0))], [y, x]) == [8.0, 32.0]
    assert tracked(constant(np.array(1.0))).tracked


def test_a_long_tape_does_not_recurse() -> None:
    x = y = leaf(np.array(1.0))
    for _ in range(30_000):
        y = add(y, x)
    assert pull([(total(y), np.array(1.0))], [x]) == [30_001.0]


# -- The language says it twice: here and in snnhw.ir.gradient ------------------------------------


def tangled() -> NeuronModel:
    """States that feed each other several times, through operations whose slopes have several forms."""
    mem, syn, x, threshold = variables("mem syn x threshold")
    return model(
        "Tangled",
        states="mem syn",
        params=(Param("threshold", 1.0),),
        integrate={
            "mem": (0.5 * mem + syn * mem - abs(syn)) / (1.0 + expr.sigmoid(syn)) + x,
            "syn": expr.tanh(syn + x) - x / (syn * syn + 1.5) + expr.atan(mem),
        },
        fire=mem - threshold * syn,
    )


def steps() -> list[tuple[str, Neuron]]:
    found = []
    usual: list[type[Surrogate]] = [ATan, StraightThrough]
    several = product([*MODELS.values(), tangled()], usual)
    for entry, surrogate in (*several, *product([MODELS["Leaky"]], SURROGATES.values())):
        for kind in entry.kinds:
            for timing in entry.timings_of(kind):
                settings = Neuron(
                    entry, reset=kind, timing=timing, surrogate=surrogate(), graded=entry.fire is not None
                )
                found.append((f"{entry.name}-{kind}-{timing}-{surrogate.__name__}", settings))
    return found


@pytest.mark.parametrize("op", [pytest.param(op, id=name) for name, op in steps()])
@np.errstate(all="ignore")  # logarithms of what is clamped to 1, and what is divided by them
def test_it_agrees_with_the_symbolic_gradient_in_every_bit(op: Neuron) -> None:
    """Values and adjoints of one step in float32, wherever an adjoint is not a sum over elements."""
    step = op.equations()
    names = [*dict.fromkeys([*step.ports, *step.noise]), *(state.name for state in step.states), *step.params]
    numbers = np.random.default_rng(0)
    arrays = {name: numbers.uniform(0.1, 1.5, 1000).astype(np.float32) for name in [*names, "dt"]}
    roots = [*step.updates.values(), *step.outputs.values()]
    seeds = [numbers.normal(size=1000).astype(np.float32) for _ in roots]

    leaves = {name: leaf(array) for name, array in arrays.items()}
    values: list[Var] = evaluate(roots, leaves, namespace(np.float32))
    ours = pull(zip(values, seeds, strict=True), [leaves[name] for name in names])

    strict = numpy_namespace(np.float32)
    seed_names = [f"seed{position}" for position in range(len(roots))]
    env = arrays | dict(zip(seed_names, seeds, strict=True))
    derived = gradient(roots, [var(name) for name in seed_names], [var(name) for name in names])
    for value, same in zip(values, evaluate(roots, env, strict), strict=True):
        np.testing.assert_array_equal(value.value, same, strict=True)
    for mine, theirs in zip(ours, evaluate(derived, env, strict), strict=True):
        np.testing.assert_array_equal(mine, np.broadcast_to(theirs, mine.shape), strict=True)


@pytest.mark.parametrize(
    "op",
    [pytest.param(op, id=name) for name, op in steps() if op.in_ports == ("x",) and not op.equations().noise],
)
def test_over_time_it_agrees_with_a_backward_loop_in_every_bit(op: Neuron) -> None:
    """Gradients to inputs and initial states in float32, by one step's symbolic gradient at a time."""
    T, B, N = 30, 4, 16
    program = alone(op, (N,))
    step, strict = op.equations(), numpy_namespace(np.float32)
    states = [state.name for state in step.states]
    given = {name: np.float32(0.9 - 0.05 * place) for place, name in enumerate(op.params())}
    x = signal(0, T, B, N).astype(np.float32)
    seeds = {port: signal(place, T, B, N).astype(np.float32) for place, port in enumerate(step.outputs, 1)}
    ours = pullback(
        program,
        {f"lif.{name}": np.array(value) for name, value in given.items()},
        {"x": x},
        {f"lif.{port}": seed for port, seed in seeds.items()},
        dtype=np.float32,
        wrt_inputs=True,
        wrt_state=True,
    )

    history = [dict.fromkeys(states, np.zeros((B, N), np.float32))]
    for t in range(T):
        env = {**given, **history[-1], "x": x[t], "dt": np.float32(1e-3)}
        history.append(dict(zip(states, evaluate(list(step.updates.values()), env, strict), strict=True)))

    roots = [*step.updates.values(), *step.outputs.values()]
    names = [f"a_{state}" for state in step.updates] + [f"g_{port}" for port in step.outputs]
    derived = gradient(roots, [var(name) for name in names], [var(name) for name in ("x", *states)])
    carried = [np.zeros((B, N), np.float32) for _ in states]
    for t in reversed(range(T)):
        env = {**given, **history[t], "x": x[t], "dt": np.float32(1e-3)}
        env |= dict(zip(names, [*carried, *(seed[t] for seed in seeds.values())], strict=True))
        dx, *carried = evaluate(derived, env, strict)
        np.testing.assert_array_equal(ours.inputs["x"][t], np.broadcast_to(dx, (B, N)), strict=True)
    for state, adjoint in zip(states, carried, strict=True):
        np.testing.assert_array_equal(
            ours.state[f"lif.{state}"], np.broadcast_to(adjoint, (B, N)), strict=True
        )
