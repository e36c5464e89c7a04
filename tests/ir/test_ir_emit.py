"""Expressions printed as code: the same values in every bit, and nothing of the user's in the text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from ir_strategies import CALM, expressions

from snnhw.ir import (
    PRIMITIVES,
    Expr,
    const,
    evaluate,
    free_variables,
    graft,
    nearest,
    numpy_namespace,
    topological,
    var,
    variables,
)
from snnhw.ir import expr as ex
from snnhw.ir.emit import Target, emit

x, y = variables("x y")
NAMESPACE = numpy_namespace(np.float32)


def template(op: str) -> str:
    """A call of NumPy's function for an op."""
    count = 2 if op == "nearest" else len(PRIMITIVES[op].args or ())
    return f"ns['{op}']({', '.join(f'{{{place}}}' for place in range(count))})"


PYTHON = Target(
    ops={op: template(op) for op in PRIMITIVES if op not in ("const", "var", "graft")},
    constant=lambda number: f"ns['const']({number!r})",
)


def run(roots: list[Expr], env: dict[str, Any]) -> list[Any]:
    """The values that the emitted code computes."""
    names = {name: f"a{number}" for number, name in enumerate(env)}
    code = emit(roots, names, PYTHON)
    scope = {"ns": NAMESPACE, **{names[name]: value for name, value in env.items()}}
    exec("\n".join(code.lines), scope)  # what is tested is that this is right
    return [eval(text, scope) for text in code.roots]


@CALM
@given(expressions())
def test_emitted_code_computes_the_same_bits(root: Expr) -> None:
    env: dict[str, Any] = {"a": np.float32(0.75), "b": np.float32(-0.5), "c": np.float32(-0.0)}
    env["levels"] = np.array([-1.0, 0.25, 2.0], np.float32)
    with np.errstate(all="ignore"):
        (wanted,) = evaluate([root, -root], env, NAMESPACE)[:1]
        found, _ = run([root, -root], env)
    assert np.float32(found).tobytes() == np.float32(wanted).tobytes()


def test_the_text() -> None:
    code = emit([ex.exp(x * 0.1) + y, x, const(2.0)], {"x": "s0", "y": "p0"}, PYTHON)
    assert code.lines == [
        "e0 = ns['mul'](s0, ns['const'](0.1))",
        "e1 = ns['exp'](e0)",
        "e2 = ns['add'](e1, p0)",
    ]
    assert code.roots == ["e2", "s0", "ns['const'](2.0)"]


def test_prefix_and_statement() -> None:
    target = Target({"neg": "-{0}"}, str, "float {name} = {value};")
    assert emit([-x], {"x": "s0"}, target, prefix="f").lines == ["float f0 = -s0;"]


def test_what_is_shared_is_computed_once() -> None:
    part = ex.exp(x)
    assert len(emit([part * part, part + part, part], {"x": "s0"}, PYTHON).lines) == 3


def test_no_derivative_is_printed() -> None:
    code = emit([graft(x * 2.0, {y: ex.exp(y)})], {"x": "s0"}, PYTHON)
    assert code.lines == ["e0 = ns['mul'](s0, ns['const'](2.0))"]


def test_both_zeros_are_printed() -> None:
    assert emit([const(0.0), const(-0.0)], {}, PYTHON).roots == ["ns['const'](0.0)", "ns['const'](-0.0)"]


@pytest.mark.parametrize("name", ["lambda", "exec", "x" * 64, "__builtins__"])
def test_names_of_users_are_not_printed(name: str) -> None:
    code = emit([var(name) * 2.0, nearest(var(name), name)], {name: "s0"}, PYTHON)
    assert not any(name in line for line in code.lines)


def test_a_second_build_gives_the_same_text() -> None:
    def build() -> Expr:
        return ex.sigmoid(var("u") * 0.3 + var("w")) / (1.0 + var("u"))

    names = {"u": "s0", "w": "s1"}
    before = emit([build()], names, PYTHON)
    others = [-var(f"other{number}") for number in range(100)]
    assert emit([build()], names, PYTHON) == before
    del others


def test_a_variable_without_a_name() -> None:
    with pytest.raises(KeyError, match="y"):
        emit([x + y], {"x": "s0"}, PYTHON)


def test_large_expressions() -> None:
    chain, power = x, x
    for _ in range(5000):
        chain = -(chain + 1.0)
    for _ in range(30):
        power = power * power
    assert len(emit([chain], {"x": "s0"}, PYTHON).lines) == 10_000
    assert len(emit([power], {"x": "s0"}, PYTHON).lines) == 30


def test_only_what_the_values_need_is_printed() -> None:
    root = graft(x, {x: y})
    assert free_variables(root) == {"x", "y"}
    assert len(topological([root])) == 3
    assert emit([root], {"x": "s0"}, PYTHON) == ([], ["s0"])
