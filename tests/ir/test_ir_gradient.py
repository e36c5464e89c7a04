"""Derivatives of expressions: right, in fixed forms, and with the conventions of the language."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, reject
from hypothesis import strategies as st
from ir_strategies import CALM, expressions

from snnhw.errors import ExpressionError
from snnhw.ir import (
    PRIMITIVES,
    Expr,
    const,
    evaluate,
    free_variables,
    gradient,
    graft,
    greater,
    maximum,
    minimum,
    nearest,
    numpy_namespace,
    stop_gradient,
    topological,
    variables,
    where,
)
from snnhw.ir import expr as ex

a, b, c, g = variables("a b c g")
NUMPY = numpy_namespace(np.float64)


def at(roots: Sequence[Expr], **env: Any) -> list[Any]:
    with np.errstate(all="ignore"):
        return evaluate(roots, env, NUMPY)


def slope(root: Expr, x: Expr = a) -> Expr:
    return gradient([root], [const(1.0)], [x])[0]


# -- Against central differences --------------------------------------------------------------------

EXAMPLES: Mapping[str, Expr] = {
    "add": a + b,
    "sub": b - a,
    "mul": a * b,
    "div": b / a + a / b,
    "neg": -a,
    "abs": abs(a) + abs(-b),
    "exp": ex.exp(a * b),
    "log": ex.log(a * a + b),
    "sqrt": ex.sqrt(a * a + b),
    "sigmoid": ex.sigmoid(a * b),
    "tanh": ex.tanh(a * b),
    "atan": ex.atan(a * b),
    "minimum": minimum(a, b) + minimum(b, a * a),
    "maximum": maximum(a, b) + maximum(b, a * a),
    "where": where(a > b, a * b, a / b),
    "graft": graft(ex.exp(a) * b, {a: ex.exp(a) * b, b: ex.exp(a)}),
}

STEPS = {"nearest"}  # its slope of 1 is a convention, and is tested as one
PASS_NOTHING = {"const", "var", "greater", "floordiv"}


def central(root: Expr, env: Mapping[str, float], name: str) -> float:
    """The derivative by four points; an error of fourth order in h."""
    h = 1e-3
    f = [float(at([root], **{**env, name: env[name] + k * h})[0]) for k in (-2, -1, 1, 2)]
    return (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h)


def test_every_primitive_has_an_example_or_passes_nothing() -> None:
    assert set(EXAMPLES) == set(PRIMITIVES) - PASS_NOTHING - STEPS
    for name, root in EXAMPLES.items():
        assert name in {node.op for node in topological([root])}


@pytest.mark.parametrize("op", EXAMPLES)
@pytest.mark.parametrize("point", [(0.7, 1.9), (-1.3, 2.1), (2.5, 0.4)])
def test_every_primitive_against_central_differences(op: str, point: tuple[float, float]) -> None:
    root, env = EXAMPLES[op], {"a": point[0], "b": point[1]}
    found = at(gradient([root], [const(1.0)], [a, b]), **env)
    np.testing.assert_allclose(
        found, [central(root, env, "a"), central(root, env, "b")], rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize("op", sorted(PASS_NOTHING))
def test_what_passes_nothing(op: str) -> None:
    root = {"const": const(2.0), "var": b, "greater": where(a > b, 2.0, 3.0), "floordiv": a // b}[op]
    assert slope(root) is const(0.0)


def shape_of(root: Expr, env: Mapping[str, float]) -> tuple[list[bool], float]:
    """Which branches an expression takes, and the size of the largest value in it."""
    nodes = topological([root])
    values = dict(zip(nodes, at(nodes, **env), strict=True))
    branches = []
    for node in nodes:
        left = values[node.args[0]] if node.args else 0.0
        right = values[node.args[1]] if len(node.args) > 1 else 0.0
        if node.op in ("abs", "greater", "minimum", "maximum"):
            branches.append(bool(left > right))
    sizes = [abs(float(value)) for value in values.values()]
    return branches, max(size if math.isfinite(size) else math.inf for size in sizes)


@CALM
@given(expressions(most=9, smooth=True), st.tuples(*[st.floats(-2, -0.05) | st.floats(0.05, 2)] * 3))
def test_random_expressions_against_central_differences(root: Expr, point: tuple[float, ...]) -> None:
    env = dict(zip("abc", point, strict=True))
    branches, _ = shape_of(root, env)
    for name in free_variables(root):
        for shift in (-4e-3, 4e-3):  # the same smooth piece, and no pole, all around the point
            moved, size = shape_of(root, {**env, name: env[name] + shift})
            assume(moved == branches and size < 50)
    names = sorted(free_variables(root))
    try:
        found = at(gradient([root], [const(1.0)], [ex.var(name) for name in names]), **env)
        second = at([slope(slope(root, ex.var(n)), ex.var(n)) for n in names], **env)
    except ExpressionError:  # a constant slope that no float64 holds, such as that of a / 5e-324
        reject()
    assume(all(abs(value) < 1e3 for value in (*found, *second)))  # elsewhere differences say little
    wanted = [central(root, env, name) for name in names]
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3)


# -- Conventions at kinks ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("root", "env", "slopes"),
    [
        (abs(a), {"a": 0.0}, [0.0, 0.0]),
        (abs(a), {"a": -0.0}, [0.0, 0.0]),
        (abs(a), {"a": -2.0}, [-1.0, 0.0]),
        (maximum(a, b), {"a": 1.0, "b": 1.0}, [0.0, 1.0]),
        (minimum(a, b), {"a": 1.0, "b": 1.0}, [0.0, 1.0]),
        (maximum(a, 0.0), {"a": 0.0}, [0.0, 0.0]),
        (maximum(a, 0.0), {"a": -0.0}, [0.0, 0.0]),
        (where(a > b, a, b), {"a": 1.0, "b": 1.0}, [0.0, 1.0]),
        (ex.clamp(a, 0.0, 1.0), {"a": 0.0}, [1.0, 0.0]),
        (ex.clamp(a, 0.0, 1.0), {"a": 1.0}, [1.0, 0.0]),
        (ex.heaviside(a), {"a": 0.0}, [0.0, 0.0]),
        (nearest(a, "t"), {"a": 0.5, "t": np.array([0.0, 1.0])}, [1.0, 0.0]),
        (stop_gradient(a) * b, {"a": 3.0, "b": 5.0}, [0.0, 3.0]),
        (graft(a * a, {b: 7.0}), {"a": 3.0, "b": 5.0}, [0.0, 7.0]),
        (graft(a * a, {a: b, b: a}), {"a": 3.0, "b": 5.0}, [5.0, 3.0]),
    ],
)
def test_conventions_belong_to_the_language(root: Expr, env: Any, slopes: list[float]) -> None:
    found = at(gradient([root], [const(1.0)], [a, b]), **{"b": 0.0} | env)
    assert [float(value) for value in found] == slopes


# -- Forms, bit for bit -----------------------------------------------------------------------------

TORCH: Mapping[str, Callable[..., Any]] = {
    "const": float,
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "neg": torch.neg,
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "sigmoid": torch.sigmoid,
}


@pytest.mark.parametrize("root", [a / b, ex.sigmoid(a), ex.exp(a), ex.log(b), ex.sqrt(b)], ids=repr)
def test_forms_equal_torch_in_every_bit(root: Expr) -> None:
    generator = torch.Generator().manual_seed(0)
    left, seed = torch.randn((2, 10_000), generator=generator) * 3
    env = {"a": left, "b": torch.rand(10_000, generator=generator) * 9 + 0.01}
    leaves = {name: env[name].clone().requires_grad_() for name in sorted(free_variables(root))}
    (value,) = evaluate([root], leaves, TORCH)
    wanted = torch.autograd.grad(value, list(leaves.values()), seed)
    slopes = gradient([root], [g], [ex.var(name) for name in leaves])
    found = evaluate(slopes, {**env, "g": seed}, TORCH)
    for mine, theirs in zip(found, wanted, strict=True):
        assert torch.equal(mine, theirs)


FORMS = {
    "add": (a + b, [g, g]),
    "sub": (a - b, [g, -g]),
    "mul": (a * b, [g * b, g * a]),
    "div": (a / b, [g / b, -(g * ((a / b) / b))]),
    "neg": (-a, [-g]),
    "exp": (ex.exp(a), [g * ex.exp(a)]),
    "log": (ex.log(a), [g / a]),
    "sqrt": (ex.sqrt(a), [g / (2.0 * ex.sqrt(a))]),
    "sigmoid": (ex.sigmoid(a), [(g * (1.0 - ex.sigmoid(a))) * ex.sigmoid(a)]),
    "tanh": (ex.tanh(a), [g * (1.0 - ex.tanh(a) * ex.tanh(a))]),
    "atan": (ex.atan(a), [g / (a * a + 1.0)]),
    "nearest": (nearest(a, "t"), [g]),
    "graft": (graft(a, {a: c, b: c * c}), [g * c, g * (c * c)]),
}


@pytest.mark.parametrize(("root", "wanted"), FORMS.values(), ids=FORMS)
def test_forms(root: Expr, wanted: list[Expr]) -> None:
    assert gradient([root], [g], [a, b][: len(wanted)]) == wanted


# -- Sums of adjoints -------------------------------------------------------------------------------


def test_an_adjoint_is_its_seed_then_its_users_last_first() -> None:
    carried, recorded = variables("carried recorded")
    u = a * b  # three uses, in this order
    later = [u * 2.0, u * 3.0, u * 5.0]
    found = gradient([u, u, *later], [carried, recorded, g, g, g], [u])
    assert found == [(((carried + recorded) + g * 5.0) + g * 3.0) + g * 2.0]


def test_another_order_of_sums_would_give_other_bits() -> None:
    values = np.random.default_rng(0).normal(size=(3, 10_000)).astype(np.float32)
    env = dict(zip("abc", values, strict=True))
    one, other = evaluate([(a + b) + c, a + (b + c)], env, numpy_namespace(np.float32))
    assert (one != other).mean() > 0.1


def test_a_variable_used_twice_by_one_node() -> None:
    assert slope(a * a) is a + a
    assert gradient([a / a], [g], [a]) == [g / a + -(g * ((a / a) / a))]


def test_several_outputs_add_up() -> None:
    assert gradient([a * b, a * c], [g, g], [a, b, c]) == [g * c + g * b, g * a, g * a]


def test_derivatives_to_inner_expressions() -> None:
    inner = a * b
    assert gradient([ex.exp(inner)], [g], [inner]) == [g * ex.exp(inner)]


def test_what_an_output_does_not_depend_on_gets_zero() -> None:
    assert gradient([a * a], [g], [b, a + b]) == [const(0.0), const(0.0)]


def test_zero_seeds_leave_nothing_behind() -> None:
    assert gradient([a * b, a], [const(0.0), g], [a, b]) == [g, const(0.0)]
    assert gradient([a * b, a], [const(-0.0), g], [a, b]) == [g, const(0.0)]


def test_outputs_and_seeds_go_in_pairs() -> None:
    with pytest.raises(ValueError, match="shorter"):
        gradient([a, b], [g], [a])


def test_a_condition_passes_nothing_to_what_it_compares() -> None:
    assert gradient([where(a > b, c, 2.0)], [g], [a, b, c]) == [const(0.0), const(0.0), where(a > b, g, 0.0)]


def test_where_hides_nan_only_forward() -> None:
    """Arguments are guarded, not results: this is why `where` says so."""
    naive = where(greater(a, 0.0), ex.log(a), 0.0)
    guarded = where(greater(a, 0.0), ex.log(where(greater(a, 0.0), a, 1.0)), 0.0)
    assert math.isnan(at([slope(naive)], a=0.0)[0])
    assert at([slope(guarded)], a=0.0)[0] == 0.0
