"""Equations as text: what is read, in which order, and what is refused."""

from __future__ import annotations

from unittest.mock import Mock

import pytest
from hypothesis import given
from ir_strategies import CALM, expressions

from snnhw.errors import ExpressionError
from snnhw.ir import Expr, clamp, greater, heaviside, maximum, minimum, variables, where
from snnhw.ir import expr as ex
from snnhw.ir.parse import FUNCTIONS, MAX_TEXT, parse

a, b, c = variables("a b c")

READ = {
    "a + b - c": (a + b) - c,
    "a - (b - c)": a - (b - c),
    "a * b / c": (a * b) / c,
    "-a * 2": -a * 2.0,
    "+a": a,
    "0.04 * a ** 2 + 5 * a": 0.04 * (a * a) + 5.0 * a,
    "a ** 3": a * a * a,
    "a > b": greater(a, b),
    "a < b": greater(b, a),
    "a if a > b else c": where(a > b, a, c),
    "where(a > b, 1, 0)": where(a > b, 1.0, 0.0),
    "max(a, 0) + min(b, c)": maximum(a, 0.0) + minimum(b, c),
    "maximum(a, minimum(b, c))": maximum(a, minimum(b, c)),
    "clamp(a, 0, 1)": clamp(a, 0.0, 1.0),
    "clamp(a, -1, 2 / 1)": clamp(a, -1.0, 2.0),
    "exp(-abs(a)) * sigmoid(b)": ex.exp(-ex.abs_(a)) * ex.sigmoid(b),
    "floor(a) // b": ex.floor(a) // b,
    "sqrt(a) + log(b) + tanh(c) + atan(a)": ex.sqrt(a) + ex.log(b) + ex.tanh(c) + ex.atan(a),
    "heaviside(a) * stop_gradient(b)": heaviside(a) * ex.stop_gradient(b),
    "\n  a +\n  b  ": a + b,
}


@pytest.mark.parametrize(("text", "wanted"), READ.items(), ids=READ)
def test_what_is_read(text: str, wanted: Expr) -> None:
    assert parse(text.replace("\n", " ")) is wanted


def test_every_function_is_read() -> None:
    called = {name for name in FUNCTIONS for text in READ if f"{name}(" in text}
    assert called == set(FUNCTIONS)


REFUSED = {
    "a +": "'a +' cannot be read: invalid syntax at character",
    "lambda * a": "cannot be read: invalid syntax",
    "a.b": "`a.b` is no part of an equation; use numbers, names, + - * / // ** > <, `a if c else b` and abs,",
    "a[0]": "`a[0]` is no part of an equation",
    "[a for a in b]": "is no part of an equation",
    "lambda: a": "is no part of an equation",
    "(a := b)": "is no part of an equation",
    "f'{a}'": "is no part of an equation",
    "a and b": "`a and b` is no part of an equation",
    "a % b": "`a % b`: the operators are + - * / // and **",
    "a ** b": "`a ** b`: a power is a whole number from 1 to 8",
    "a ** 0.5": "a power is a whole number from 1 to 8",
    "a ** 9": "a power is a whole number from 1 to 8",
    "not a": "`not a`: before a value stands + or -",
    "a >= b": "`a >= b`: compare two values, with > or <, which are strict",
    "a < b < c": "compare two values",
    "sin(a)": "there is no function 'sin'. Did you mean 'min'? Known: abs, atan,",
    "__import__('os')": "there is no function '__import__'",
    "a.exp(b)": "there is no function 'a.exp'",
    "exp(x=a)": "`exp(x=a)`: give the arguments in order, without names",
    "exp(*a)": "is no part of an equation",
    "exp(a, b)": "`exp(a, b)`: exp does not take 2 arguments",
    "clamp(a, b, 1)": "clamp(x, low, high) takes numbers as its bounds",
    "'a'": "a constant is an int or a float",
    "True": "a constant is an int or a float",
    "1e999": "a constant must be finite",
    "9" * 400: "a constant must fit a float",
    "a > b + (a > b)": "is a bool, not a real",
    "log(-1)": "has no finite value",
    "é": "cannot name a variable",
    "": "cannot be read: invalid syntax",
    "((a)": "cannot be read",
    "a" * (MAX_TEXT + 1): f"an equation is text of at most {MAX_TEXT} characters",
    "a\0": "cannot be read",
}


@pytest.mark.parametrize(
    ("text", "message"), REFUSED.items(), ids=[text[:20].strip("\0") for text in REFUSED]
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("error", [RecursionError, MemoryError])
def test_what_is_nested_too_deeply(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    """A stand-in gives up, as Python does on a text that is."""
    monkeypatch.setattr("snnhw.ir.parse._read", Mock(side_effect=error))
    with pytest.raises(ExpressionError, match=r"^'-a' cannot be read: it is nested too deeply$"):
        parse("-a")


def test_text_and_nothing_else() -> None:
    with pytest.raises(ExpressionError, match=r"an equation is text of at most \d+ characters, not 3"):
        parse(3)  # type: ignore[arg-type]  # the point


@CALM
@given(expressions(smooth=True))
def test_what_is_shown_is_read_again(shown: Expr) -> None:
    """Derivatives of grafts and digits beyond the twelfth are not shown."""
    text = repr(shown)
    assert repr(parse(text)) == text
