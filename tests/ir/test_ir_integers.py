"""Arithmetic of chips: what each word gives for whole numbers, and what a format takes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from snnhw.errors import ExpressionError, InputError, ProgramError
from snnhw.ir import (
    Dropout,
    Edge,
    Expr,
    Fixed,
    FrozenMap,
    Input,
    Linear,
    Op,
    Output,
    Params,
    Pointwise,
    Program,
    SaturatingLinear,
    check_params,
    evaluate,
    load,
    numpy_namespace,
    saturate,
    save,
    shift_right,
    toward_zero,
    validate,
    variables,
    wrap,
)
from snnhw.ir import expr as ex
from snnhw.reference import execute

x, y = variables("x y")
WHOLE = numpy_namespace(np.int64)


def at(root: Expr, **env: object) -> Any:
    (found,) = evaluate([root], {key: np.asarray(value) for key, value in env.items()}, WHOLE)
    return found.tolist()


@pytest.mark.parametrize(
    ("word", "given", "wanted"),
    [
        (shift_right(x, 1), [-3, -1, 0, 3], [-2, -1, 0, 1]),
        (toward_zero(x, 2.0), [-3, -1, 0, 3], [-1, 0, 0, 1]),
        (saturate(x, 8), [-500, -129, -128, 127, 128], [-128, -128, -128, 127, 127]),
        (wrap(x, 8), [-129, -128, 127, 128, 512 + 5], [127, -128, 127, -128, 5]),
        (x // 3.0, [-7, -6, 7], [-3, -2, 2]),
        (ex.floor(x), [-7, 7], [-7, 7]),
    ],
)
def test_words_of_integers(word: Expr, given: list[int], wanted: list[int]) -> None:
    assert at(word, x=given) == wanted


def test_large_numbers_stay_exact() -> None:
    """Where a float64 would round the quotient up to the next whole number."""
    assert at(x // y, x=2**62 - 1, y=2**31) == 2**31 - 1


@pytest.mark.parametrize("bits", [-1, 53, 1.5])
def test_bits_that_there_are_not(bits: Any) -> None:
    with pytest.raises(ExpressionError, match="bits are a whole number from 0 to 52"):
        shift_right(x, bits)


@pytest.mark.parametrize(
    ("form", "given", "wanted"),
    [
        (Fixed(8, scale=10.0), [0.25, 0.35, -12.8], [2, 4, -128]),
        (Fixed(8, scale=10.0, rounding="floor"), [0.29, -0.21], [2, -3]),
        (Fixed(8, scale=10.0, rounding="toward_zero"), [0.29, -0.29], [2, -2]),
        (Fixed(8, overflow="saturate"), [300, -300], [127, -128]),
        (Fixed(8, overflow="wrap"), [300, -129], [44, 127]),
        (Fixed(4, signed=False), [0, 15], [0, 15]),
    ],
)
def test_floats_become_integers_of_a_format(form: Fixed, given: list[float], wanted: list[int]) -> None:
    assert form.encode(given, "weight").tolist() == wanted


def test_a_format_refuses_what_it_does_not_hold() -> None:
    with pytest.raises(
        InputError, match=r"fc.weight holds 200.0 at \[1\]; accepted: whole numbers from -128 to"
    ):
        Fixed(8).encode([0.0, 200.0], "fc.weight")
    with pytest.raises(InputError, match="nan has no integer"):
        Fixed(8, overflow="saturate").encode([float("nan")], "fc.weight")
    with pytest.raises(InputError, match=r"Fixed\(bits=33\): give a whole number from 1 to 32"):
        Fixed(33)


FORMATS = {"in.y": Fixed(4, signed=False), "fc.weight": Fixed(8)}


def dense(formats: dict[str, Fixed] | None = None, **more: Op) -> Program:
    nodes: dict[str, Op] = {"in": Input((2,)), "fc": Linear(2, 1, bias=False), **more, "out": Output()}
    names = list(nodes)
    edges = tuple(Edge(f"{a}.y", f"{b}.x") for a, b in pairwise(names))
    return Program(FrozenMap(nodes), edges, formats=FrozenMap(FORMATS if formats is None else formats))


def test_a_program_of_integers_is_computed_in_them() -> None:
    params: Params = {"fc.weight": np.array([[127, -128]], np.int8)}
    found = execute(dense(), params, {"in": np.array([[[3, 1]]], np.uint8)}).outputs["out"]
    assert (found.dtype.name, found.tolist()) == ("int64", [[[253]]])


def test_a_file_holds_formats(tmp_path: Any) -> None:
    params = {"fc.weight": np.array([[127, -128]])}
    save(tmp_path / "net.snn", dense(), params)
    program, found = load(tmp_path / "net.snn")
    assert program == dense()
    assert found["fc.weight"].tolist() == [[127, -128]]


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (dense({"in.y": Fixed(4)}), "it has formats, so that it is one of integers, but none of 'fc.weight'"),
        (dense({**FORMATS, "fc.wieght": Fixed(4)}), "'fc.wieght': there is no such parameter or port"),
        (dense(drop=Dropout(0.5)), "drop: a Dropout gives fractions"),
        (dense(half=Pointwise(FrozenMap({"y": x * 0.5}))), r"half: its equations use 0.5, but"),
        (
            dense(half=Pointwise(FrozenMap({"y": x / 2.0}))),
            "half: its equations use 'div', which gives fractions",
        ),
    ],
)
def test_what_is_no_program_of_integers(program: Program, message: str) -> None:
    (found,) = (problem for problem in validate(program) if message in problem)
    assert found


def test_an_op_of_integers_alone_needs_formats() -> None:
    nodes = {"in": Input((2,)), "sum": SaturatingLinear(2, 2), "out": Output()}
    edges = (Edge("in.y", "sum.x"), Edge("in.y", "sum.start"), Edge("sum.y", "out.x"))
    assert validate(Program(FrozenMap(nodes), edges)) == (
        "sum: a SaturatingLinear is of integers; give the program formats",
    )


def test_parameters_and_inputs_are_of_their_formats() -> None:
    with pytest.raises(ProgramError, match=r"parameter 'fc.weight' holds 200 at \[0, 1\]"):
        check_params(dense(), {"fc.weight": np.array([[0, 200]])})
    params = {"fc.weight": np.array([[127, -128]])}
    with pytest.raises(
        InputError, match=r"input 'in' holds 0.5 at \[0, 0, 1\]; accepted: whole numbers from 0 to"
    ):
        execute(dense(), params, {"in": np.array([[[3, 0.5]]])})
    with pytest.raises(InputError, match="input 'in' holds 16"):
        execute(dense(), params, {"in": np.array([[[3, 16]]])})


def test_sums_saturate_in_the_order_of_their_sources() -> None:
    """100 + 100 - 100 in 8 bits is 27, and -100 + 100 + 100 is 100."""
    nodes = {"in": Input((3,)), "at": Input((1,)), "sum": SaturatingLinear(3, 1, bits=8), "out": Output()}
    edges = (Edge("in.y", "sum.x"), Edge("at.y", "sum.start"), Edge("sum.y", "out.x"))
    formats = FrozenMap({"in.y": Fixed(4, signed=False), "at.y": Fixed(8), "sum.weight": Fixed(8)})
    program = Program(FrozenMap(nodes), edges, formats=formats)
    given = {"in": np.array([[[1, 1, 1]], [[2, 0, 1]]]), "at": np.zeros((2, 1, 1))}
    one = execute(program, {"sum.weight": np.array([[100, 100, -100]])}, given).outputs["out"]
    other = execute(program, {"sum.weight": np.array([[-100, 100, 100]])}, given).outputs["out"]
    assert (one.ravel().tolist(), other.ravel().tolist()) == ([27, 27], [100, -28])
