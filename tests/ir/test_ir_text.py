"""Expressions as text: for people, and for files."""

from __future__ import annotations

from ast import literal_eval
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ir_strategies import CALM, expressions

from snnhw.errors import ExpressionError
from snnhw.ir import Expr, const, graft, maximum, nearest, variables, where
from snnhw.ir import expr as ex
from snnhw.ir.text import MAX_NODES, dump, infix, load, load_one

x, y = variables("x y")

# -- For people -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (x, "x"),
        (const(0.5), "0.5"),
        (const(3), "3"),
        (const(1e-300), "1e-300"),
        (const(-0.0), "-0"),
        (x + y * 2, "x + y * 2"),
        ((x + y) * 2, "(x + y) * 2"),
        ((x - y) - x, "x - y - x"),
        (x - (y - x), "x - (y - x)"),
        (x / (y / x), "x / (y / x)"),
        ((x / y) / x, "x / y / x"),
        (x * (y * x), "x * (y * x)"),
        (-(x * y), "-(x * y)"),
        ((-x) * y, "-x * y"),
        (x - (-y), "x - -y"),
        (x + (-2.0), "x + -2"),
        (where(x > y + 1, x, 0), "where(x > y + 1, x, 0)"),
        (maximum(x, -x), "maximum(x, -x)"),
        (ex.exp(x) / 2, "exp(x) / 2"),
        (nearest(x + y, "levels"), "nearest(x + y, levels)"),
        (graft(x, {y: 1.0}), "graft(x, y, 1)"),
    ],
)
def test_infix(expr: Any, text: str) -> None:
    assert repr(expr) == text


@CALM
@given(expressions())
def test_infix_brackets_say_the_order_of_operations(root: Expr) -> None:
    words: dict[str, Any] = {name: getattr(ex, name) for name in ex.__all__}
    words |= {"abs": ex.abs_, "levels": "levels", "graft": lambda v, *p: ex.make("graft", v, *p)}
    words |= {"nearest": nearest, **dict(zip("abc", variables("a b c"), strict=True))}
    text = infix(root)
    if not text.startswith("<") and all(_is_read_back(n) for n in ex.topological([root])):
        read = eval(text, {"__builtins__": {}}, words)  # test-made text, read as Python would read it
        assert (read if isinstance(read, Expr) else const(read)) is root


def _is_read_back(node: Expr) -> bool:
    """Whether Python reads a constant as it is shown, in 12 digits, as the same float."""
    if not isinstance(node.data, float):
        return True
    return float(literal_eval(f"{node.data:.12g}")).hex() == node.data.hex()


# -- For files ------------------------------------------------------------------------------------


@CALM
@given(st.lists(expressions(), max_size=4))
def test_round_trip(roots: list[Expr]) -> None:
    assert load(dump(roots)) == roots


@CALM
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_constants_come_back_in_every_bit(value: float) -> None:
    assert load_one(dump([const(value)])) is const(value)


def test_the_flat_form() -> None:
    root = nearest(x * 0.1 + x, "levels")
    assert dump([root, x]) == [
        ["var", "x"],
        ["const", "0x1.999999999999ap-4"],
        ["mul", 0, 1],
        ["add", 2, 0],
        ["nearest", 3, "levels"],
        ["root", 4],
        ["root", 0],
    ]


def test_what_is_shared_stands_once() -> None:
    power = x
    for _ in range(30):
        power = power * power
    assert len(dump([power])) == 32


BROKEN: dict[str, tuple[list[Any], str]] = {
    "an unknown op": ([["pow", 0]], "line 0 is not readable: unknown op 'pow'; known: const, var, neg"),
    "no op": ([[]], "line 0 is not readable"),
    "an op that is a list": ([[[], 1]], r"unknown op \[\]"),
    "a line that is a number": ([3], "line 0 is not readable"),
    "a line that is nothing": ([["var", "x"], None], "line 1 is not readable"),
    "a root without index": ([["var", "x"], ["root"]], "line 1 is not readable"),
    "a root with two": ([["var", "x"], ["root", 0, 0]], "line 1 is not readable"),
    "a reference to itself": ([["neg", 0]], "line 0 is not readable: 0 does not refer to an earlier line"),
    "a reference to what follows": ([["neg", 1], ["var", "x"]], "1 does not refer to an earlier line"),
    "a reference to a root": ([["var", "x"], ["root", 0], ["neg", 1]], "1 does not refer"),
    "a negative reference": ([["var", "x"], ["neg", -1]], "-1 does not refer to an earlier line"),
    "a reference that is a bool": ([["var", "x"], ["neg", False]], "False does not refer"),
    "a reference that is a float": ([["var", "x"], ["neg", 0.0]], "0.0 does not refer"),
    "a reference that is huge": ([["var", "x"], ["neg", 10**4000]], "does not refer"),
    "too many operands": ([["var", "x"], ["neg", 0, 0]], "neg takes 1 operands, not 2"),
    "a graft of pairs only": ([["var", "x"], ["graft", 0, 0]], "graft takes a value and pairs"),
    "mixed sorts": ([["var", "x"], ["greater", 0, 0], ["neg", 1]], "operand 0 of neg is a bool"),
    "a decimal constant": ([["const", "0.5"]], "'0.5' is not a hexadecimal float"),
    "a number as constant": ([["const", 0.5]], "0.5 is not a hexadecimal float"),
    "infinity": ([["const", "inf"]], "'inf' is not a hexadecimal float"),
    "a constant beyond all floats": ([["const", "0x1.0p+9999"]], "line 0 is not readable"),
    "a keyword injection": ([["var", "x; import os"]], "'x; import os' cannot name a variable"),
    "a name with a newline": ([["var", "x\n"]], r"'x\\n' cannot name a variable"),
    "a name of a thousand letters": ([["var", "x" * 1000]], "cannot name a variable"),
    "a name that is a list": ([["var", []]], r"\[\] cannot name a variable"),
    "a table that is a number": ([["var", "x"], ["nearest", 0, 0]], "0 cannot name a variable"),
    "a division of constants by zero": (
        [["const", "0x1.0p+0"], ["const", "0x0.0p+0"], ["div", 0, 1]],
        r"line 2 is not readable: div\(1.0, 0.0\) has no finite value",
    ),
}


@pytest.mark.parametrize(("lines", "message"), BROKEN.values(), ids=BROKEN)
def test_what_dump_did_not_write(lines: list[Any], message: str) -> None:
    with pytest.raises(ExpressionError, match=message) as caught:
        load(lines)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("lines", [None, {}, "add", 3])
def test_what_is_no_list(lines: Any) -> None:
    with pytest.raises(ExpressionError, match=f"expressions are a list of at most {MAX_NODES} lines"):
        load(lines)


def test_bounds() -> None:
    lines = [["var", "x"], *([["root", 0]] * 4)]
    assert len(load(lines, limit=5)) == 4
    with pytest.raises(ExpressionError, match="expressions are a list of at most 4 lines"):
        load(lines, limit=4)


@CALM
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.text(max_size=3)
        | st.sampled_from(["add", "root", "x"]),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    )
)
def test_hostile_values_end_in_one_error(lines: Any) -> None:
    try:
        load(lines)
    except ExpressionError:
        pass
    else:
        assert all(line[0] in ("var", "root", "const", *ex.PRIMITIVES) for line in lines)
