"""Nodes of expressions: shared, sorted, immutable, and simplified by a closed list of rules."""

from __future__ import annotations

import copy
import gc
import math
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from snnhw.errors import ExpressionError
from snnhw.ir import Expr, const, graft, greater, nearest, var, where
from snnhw.ir import expr as ex
from snnhw.ir import node as node_module

x, y = var("x"), var("y")

# -- Sharing --------------------------------------------------------------------------------------


def test_equal_expressions_are_one_object() -> None:
    assert (x + 1.0) * y is (var("x") + 1) * var("y")
    assert hash(x * y) == hash(var("x") * var("y"))


def test_order_of_operands_is_part_of_an_expression() -> None:
    assert x + y is not y + x
    assert (x + y) + 1.0 is not x + (y + 1.0)


def test_zeros_of_both_signs_are_two_constants() -> None:
    negative = const(-0.0)
    assert negative is not const(0.0)
    assert str(negative.data) == "-0.0"


def test_an_int_is_the_float_of_its_value() -> None:
    assert const(1) is const(1.0)
    assert const(np.float64(0.5)) is const(0.5)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_constants_are_finite(value: float) -> None:
    with pytest.raises(ExpressionError, match=f"a constant must be finite, not {value!r}"):
        const(value)


def test_a_constant_fits_a_float() -> None:
    with pytest.raises(ExpressionError, match="this integer is too large"):
        const(10**400)


@pytest.mark.parametrize("value", [True, "1", None, 1j, np.float32(1.0)])
def test_constants_are_numbers(value: Any) -> None:
    with pytest.raises(ExpressionError, match=r"a constant is an int or a float, not .*\("):
        const(value)


@pytest.mark.parametrize("name", ["", "1x", "x\n", "a b", "é", "x" * 65, "a.b", 3, None])
def test_names_of_variables(name: Any) -> None:
    with pytest.raises(ExpressionError, match="cannot name a variable; use a letter or underscore"):
        var(name)


@pytest.mark.parametrize("name", ["lambda", "_", "x" * 64, "None"])
def test_keywords_of_python_are_names_like_any_other(name: str) -> None:
    assert var(name).data == name


def test_expressions_that_nobody_holds_are_forgotten() -> None:
    gc.collect()
    before = len(node_module._TABLE)
    held = var("forgotten")
    for number in range(100):
        held = held * float(number + 2) + 1.0
    assert len(node_module._TABLE) >= before + 200
    del held
    gc.collect()
    assert len(node_module._TABLE) == before


def test_a_long_chain_is_freed_without_recursion() -> None:
    held = var("x")
    for _ in range(20_000):
        held = -(held + y)
    del held
    gc.collect()


def test_threads_agree_on_every_node() -> None:
    barrier, found = threading.Barrier(8), []
    held = [x * number for number in range(2, 402)]  # nothing of them is forgotten in between

    def build() -> None:
        for part in held:
            barrier.wait()
            found.append(part + y)  # the first to build it, or so each of them thinks

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=build) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert len(found) == 8 * len(held)
    assert len({id(node) for node in found}) == len(held)


# -- Sorts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "build",
    [
        lambda b: b + x,
        lambda b: 1.0 - b,
        lambda b: -b,
        abs,
        lambda b: b > x,
        ex.exp,
        lambda b: where(x > y, b, x),
        lambda b: nearest(b, "table"),
        lambda b: graft(b, {}),
        lambda b: graft(x, {b: 1.0}),
        lambda b: graft(x, {x: b}),
    ],
)
def test_a_condition_is_no_number(build: Callable[[Expr], Expr]) -> None:
    with pytest.raises(
        ExpressionError, match=r"is a bool, not a real: x > y; turn it into a number with where"
    ):
        build(x > y)


def test_a_number_is_no_condition() -> None:
    with pytest.raises(ExpressionError, match=r"operand 0 of where is a real, not a bool: x; compare with >"):
        where(x, x, y)


def test_a_comparison_by_equality_is_no_condition_either() -> None:
    half: Any = 0.5  # `==` is identity, and this is what becomes of it
    with pytest.raises(ExpressionError, match="a constant is an int or a float, not False"):
        where(x == half, x, y)


def test_expressions_have_no_truth_value() -> None:
    with pytest.raises(ExpressionError, match=r"no truth value .* choose between values with where"):
        bool(x)
    with pytest.raises(ExpressionError, match="no truth value"):
        assert 0.0 < x < 1.0


@pytest.mark.parametrize(
    ("op", "count", "message"),
    [
        ("add", 3, "add takes 2 operands, not 3"),
        ("graft", 2, "graft takes a value and pairs of operands, not 2 operands"),
    ],
)
def test_the_number_of_operands(op: str, count: int, message: str) -> None:
    with pytest.raises(ExpressionError, match=message):
        ex.make(op, *[x] * count)


def test_numbers_of_numpy_are_numbers_and_its_arrays_are_not() -> None:
    assert np.float64(2.0) * x is 2.0 * x
    assert x - np.float64(2.0) is x - 2.0
    others: list[Any] = [np.ones(3), np.float32(2.0)]
    for odd in others:
        with pytest.raises(ExpressionError, match="a constant is an int or a float"):
            odd * x


# -- Immutability, copies, pickles ----------------------------------------------------------------


def test_expressions_are_immutable() -> None:
    with pytest.raises(ExpressionError, match="expressions are immutable; cannot set 'op'"):
        x.op = "const"
    with pytest.raises(ExpressionError, match="expressions are immutable; cannot delete 'op'"):
        del x.op
    with pytest.raises(ExpressionError, match="immutable"):
        x.novel = 1


BIG = graft(where(greater(x, 0.1), nearest(ex.exp(x) / 3.0, "levels"), -0.0), {x: 1.0 / (1.0 + x * x)})


@pytest.mark.parametrize(
    "again",
    [copy.copy, copy.deepcopy, *(lambda e, p=p: pickle.loads(pickle.dumps(e, p)) for p in range(2, 6))],
)
def test_copies_are_the_same_object(again: Callable[[Expr], Expr]) -> None:
    assert again(BIG) is BIG


def test_pickles_of_any_size() -> None:
    chain = x
    for _ in range(5000):
        chain = -(chain + y)
    assert pickle.loads(pickle.dumps(chain)) is chain


def test_pickles_mean_the_same_in_another_process() -> None:
    script = "import sys, pickle; print(pickle.load(sys.stdin.buffer))"
    done = subprocess.run(
        [sys.executable, "-c", script], input=pickle.dumps(x / 3 - y), capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == "x / 3 - y"


# -- The closed list of rewrites, and nothing else ------------------------------------------------

minus = -x

REWRITTEN = {
    "x * 1": (x * 1.0, x),
    "1 * x": (1.0 * x, x),
    "x / 1": (x / 1.0, x),
    "x - 0": (x - 0.0, x),
    "-(-x)": (-minus, x),
}

KEPT = {
    "x + 0 loses a negative zero": (x + 0.0, "add"),
    "0 + x": (0.0 + x, "add"),
    "x - (-0) is x + 0": (x - const(-0.0), "sub"),
    "x + (-0)": (x + (-0.0), "add"),
    "0 - x is no negation of 0": (0.0 - x, "sub"),
    "0 * x may be NaN": (0.0 * x, "mul"),
    "x * 0": (x * 0.0, "mul"),
    "x * -1": (x * -1.0, "mul"),
    "x / 3 is no product": (x / 3.0, "div"),
    "x / 2": (x / 2.0, "div"),
    "0 / x": (0.0 / x, "div"),
    "x / x": (x / x, "div"),
    "x - x": (x - x, "sub"),
    "x * x": (x * x, "mul"),
    "a + (b + c)": (x + (y + 1.0), "add"),
    "x + 1 + 1 is not reassociated": ((x + 1.0) + 1.0, "add"),
    "2 * (3 * x)": (2.0 * (3.0 * x), "mul"),
    "exp(log x)": (ex.exp(ex.log(x)), "exp"),
    "sqrt(x * x)": (ex.sqrt(x * x), "sqrt"),
    "abs(abs x)": (abs(abs(x)), "abs"),
    "abs(-x)": (abs(-x), "abs"),
    "maximum(x, x)": (ex.maximum(x, x), "maximum"),
    "where with equal branches": (where(x > y, x, x), "where"),
    "where on constants": (where(greater(2.0, 1.0), x, y), "where"),
    "x > x": (greater(x, x), "greater"),
    "a graft without derivatives": (graft(x, {}), "graft"),
    "a graft of a constant": (graft(1.0, {}), "graft"),
    "nearest of a constant": (nearest(1.0, "levels"), "nearest"),
}


@pytest.mark.parametrize(("found", "simple"), REWRITTEN.values(), ids=REWRITTEN)
def test_rewrites_that_change_no_bit(found: Expr, simple: Expr) -> None:
    assert found is simple


@pytest.mark.parametrize(("found", "op"), KEPT.values(), ids=KEPT)
def test_nothing_else_is_rewritten(found: Expr, op: str) -> None:
    assert found.op == op
    assert all(isinstance(arg, Expr) for arg in found.args)


def test_what_is_kept_keeps_its_operands() -> None:
    assert ((x + 1.0) + 1.0).args == (x + 1.0, const(1.0))
    assert (0.0 * x).args == (const(0.0), x)


# -- Folding --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "value"),
    [
        (const(0.1) + 0.2, 0.1 + 0.2),
        (const(0.1) * 3, 0.1 * 3),
        (1.0 - const(0.9), 1.0 - 0.9),
        (const(1.0) / 3.0, 1.0 / 3.0),
        (const(-7.0) // 2.0, -4.0),
        (ex.floor(const(2.5)), 2.0),
        (-const(0.0), -0.0),
        (abs(const(-2.5)), 2.5),
        (ex.minimum(const(1.0), 2.0), 1.0),
        (ex.maximum(const(1.0), 2.0), 2.0),
        (ex.exp(const(1.0)), math.e),
        (ex.log(const(2.0)), math.log(2.0)),
        (ex.sqrt(const(2.0)), math.sqrt(2.0)),
        (ex.tanh(const(0.5)), math.tanh(0.5)),
        (ex.atan(const(0.5)), math.atan(0.5)),
        (ex.sigmoid(const(0.0)), 0.5),
        (ex.sigmoid(const(-800.0)), 0.0),
        (ex.sigmoid(const(800.0)), 1.0),
    ],
)
def test_constants_are_folded_in_float64(found: Expr, value: float) -> None:
    assert found is const(value)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: const(1.0) / 0.0, r"div\(1.0, 0.0\) has no finite value"),
        (lambda: ex.log(const(0.0)), r"log\(0.0\) has no finite value"),
        (lambda: ex.sqrt(const(-1.0)), r"sqrt\(-1.0\) has no finite value"),
        (lambda: ex.exp(const(1e3)), r"exp\(1000.0\) has no finite value"),
        (lambda: const(1e308) * 10, r"mul\(1e\+308, 10.0\) has no finite value"),
    ],
)
def test_constants_that_fold_to_no_number(build: Callable[[], Expr], message: str) -> None:
    with pytest.raises(ExpressionError, match=message):
        build()
