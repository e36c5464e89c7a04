"""The words equations are written in, and walks over what they build."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from ir_strategies import CALM, expressions

from snnhw.errors import ExpressionError
from snnhw.ir import (
    PRIMITIVES,
    Expr,
    clamp,
    const,
    evaluate,
    free_variables,
    gradient,
    graft,
    greater,
    heaviside,
    maximum,
    minimum,
    nearest,
    numpy_namespace,
    stop_gradient,
    substitute,
    topological,
    var,
    variables,
    where,
)
from snnhw.ir import expr as ex
from snnhw.ir.text import dump, infix, load

x, y, z = variables("x y z")


def chain(length: int) -> Expr:
    total = x
    for number in range(length):
        total = total + var(f"v{number}")
    return total


def squarings(times: int) -> Expr:
    power = x + 1.0
    for _ in range(times):
        power = power * power
    return power


# -- The words ------------------------------------------------------------------------------------


def test_variables_at_once() -> None:
    assert variables("x y z") == (var("x"), var("y"), var("z"))


@pytest.mark.parametrize(
    ("built", "op", "args"),
    [
        (2.0 + x, "add", (const(2.0), x)),
        (x - 2, "sub", (x, const(2.0))),
        (2 - x, "sub", (const(2.0), x)),
        (x * y, "mul", (x, y)),
        (2 * x, "mul", (const(2.0), x)),
        (x / y, "div", (x, y)),
        (2 / x, "div", (const(2.0), x)),
        (-x, "neg", (x,)),
        (abs(x), "abs", (x,)),
        (ex.abs_(x), "abs", (x,)),
        (x > y, "greater", (x, y)),
        (x < y, "greater", (y, x)),
        (x > 1, "greater", (x, const(1.0))),
        (x < 1, "greater", (const(1.0), x)),
        (greater(1, x), "greater", (const(1.0), x)),
        (minimum(x, 1), "minimum", (x, const(1.0))),
        (maximum(1, x), "maximum", (const(1.0), x)),
        (where(x > y, x, 0), "where", (x > y, x, const(0.0))),
        (nearest(x, "table"), "nearest", (x,)),
        (graft(x, {y: z, z: 2}), "graft", (x, y, z, z, const(2.0))),
        (stop_gradient(x), "graft", (x,)),
        (heaviside(x), "where", (x > 0.0, const(1.0), const(0.0))),
    ],
)
def test_what_a_word_builds(built: Expr, op: str, args: tuple[Expr, ...]) -> None:
    assert (built.op, built.args) == (op, args)


def test_only_comparisons_are_conditions() -> None:
    assert {name for name, signature in PRIMITIVES.items() if signature.result == "bool"} == {"greater"}


@pytest.mark.parametrize("name", ["", "a b", "x\n", "t" * 65])
def test_names_of_tables(name: str) -> None:
    with pytest.raises(ExpressionError, match="cannot name a variable"):
        nearest(x, name)


@pytest.mark.parametrize(
    ("value", "slope"),
    [(-1e-9, 0.0), (0.0, 1.0), (0.5, 1.0), (1.0, 1.0), (1.0 + 1e-9, 0.0), (-math.inf, 0.0), (math.inf, 0.0)],
)
def test_clamp_has_slope_1_on_the_closed_interval(value: float, slope: float) -> None:
    clamped = clamp(x, 0.0, 1.0)
    (derivative,) = gradient([clamped], [const(1.0)], [x])
    found = evaluate([clamped, derivative], {"x": value}, numpy_namespace())
    assert found == [min(max(value, 0.0), 1.0), slope]


@pytest.mark.parametrize(("value", "fires"), [(-1.0, 0.0), (0.0, 0.0), (5e-324, 1.0), (1.0, 1.0)])
def test_heaviside_is_strict(value: float, fires: float) -> None:
    assert evaluate([heaviside(x)], {"x": value}, numpy_namespace()) == [fires]


# -- Walks ----------------------------------------------------------------------------------------


@CALM
@given(expressions())
def test_arguments_come_before_their_users_and_everything_once(root: Expr) -> None:
    order = topological([root])
    assert order[-1] is root
    assert len(set(order)) == len(order)
    place = {node: number for number, node in enumerate(order)}
    assert all(place[arg] < place[node] for node in order for arg in node.args)


def test_walks_go_left_to_right() -> None:
    assert topological([(x + y) * z, x - z]) == [x, y, x + y, z, (x + y) * z, x - z]


def test_free_variables_and_tables() -> None:
    root = nearest(x, "levels") + graft(y, {z: 1.0})
    assert free_variables(root, var("w")) == {"x", "y", "z", "w"}
    assert ex.tables(root) == {"levels"}


def test_substitution_is_simultaneous() -> None:
    assert substitute([x - y, x], {"x": y, "y": x}) == [y - x, y]


def test_substitution_simplifies_by_the_same_rules() -> None:
    assert substitute([x * y], {"x": const(1.0)}) == [y]
    assert substitute([x + y], {"x": const(0.1), "y": const(0.2)}) == [const(0.1 + 0.2)]


def test_substitution_keeps_tables() -> None:
    assert substitute([nearest(x, "t")], {"x": y, "t": z}) == [nearest(y, "t")]


def test_what_is_not_substituted_is_the_same_object() -> None:
    root = ex.exp(x) * y
    assert substitute([root], {"w": z}) == [root]


def test_replacement_of_whole_subexpressions() -> None:
    assert ex.replace([(x + y) * z, x + y, x], {x + y: z}) == [z * z, z, x]


def test_a_condition_is_no_substitute_for_a_number() -> None:
    with pytest.raises(ExpressionError, match="operand 0 of add is a bool, not a real"):
        substitute([x + y], {"x": x > y})


# -- Size: nothing recurses, and what is shared is walked once --------------------------------------


def values(root: Expr) -> float:
    env = dict.fromkeys(free_variables(root), 0.0)
    return float(evaluate([root], env, numpy_namespace())[0])


LARGE = [chain(2000), squarings(30)]


@pytest.mark.parametrize("root", LARGE, ids=["2000 additions", "30 squarings"])
@pytest.mark.parametrize(
    "walk",
    [
        lambda root: len(topological([root])) == ex.count_nodes([root]),
        lambda root: values(root) in (0.0, 1.0),
        lambda root: len(gradient([root], [const(1.0)], [x])) == 1,
        lambda root: load(dump([root])) == [root],
        lambda root: (
            infix(root) == f"<expression of {ex.count_nodes([root])} nodes>" or len(infix(root)) < 4200
        ),
        lambda root: len(repr(root)) < 4200,
        lambda root: "x" in free_variables(root),
        lambda root: not ex.tables(root),
        lambda root: substitute(substitute([root], {"x": z}), {"z": x}) == [root],
    ],
    ids=["topological", "evaluate", "gradient", "dump", "infix", "repr", "variables", "tables", "substitute"],
)
def test_large_expressions(root: Expr, walk: Callable[[Expr], bool]) -> None:
    assert walk(root)


def test_sizes_of_large_expressions() -> None:
    assert [ex.count_nodes([root]) for root in LARGE] == [4001, 33]


def test_the_gradient_of_a_shared_expression_is_small() -> None:
    (slope,) = gradient([squarings(30)], [const(1.0)], [x])
    assert ex.count_nodes([slope]) < 200
