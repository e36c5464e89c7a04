"""The core ops that others are made of: what they make of shapes, and what stands in them."""

from __future__ import annotations

import pytest

from snnhw import ir
from snnhw.errors import ProgramError
from snnhw.ir import SHIPPED, Gather, Op, Parameter, ParamSpec, Reshape, Shape, Sum, ops


def test_what_the_files_of_ops_offer_is_offered_by_the_language() -> None:
    assert set(ops.__all__) <= set(ir.__all__)
    assert len(set(ir.__all__)) == len(ir.__all__)
    assert [name for name in ir.__all__ if not hasattr(ir, name)] == []
    assert {kind.__name__ for kind in SHIPPED} <= set(ir.__all__)


@pytest.mark.parametrize(
    ("op", "shape", "wanted"),
    [
        (Reshape((3, 2)), (6,), (3, 2)),
        (Reshape(()), (1, 1), ()),
        (Gather(1, (-1, 2, 2, 0)), (2, 3), (2, 4)),
        (Gather(0, (-1,)), (2, 3), (1, 3)),
        (Sum(), (2, 3), (2,)),
        (Sum(0), (2, 3), (3,)),
        (Sum(0), (2,), ()),
        (Parameter((4, 1)), (2, 3), (4, 1)),
    ],
    ids=lambda value: value.summary() if isinstance(value, Op) else None,
)
def test_shapes(op: Op, shape: Shape, wanted: Shape) -> None:
    assert op.infer({"x": shape}) == {"y": wanted}


@pytest.mark.parametrize(
    ("op", "shape", "message"),
    [
        (Reshape((3, 2)), (5,), r"Reshape\(\(3, 2\)\) does not fit a sample of shape \(5,\)"),
        (Gather(0, (0, 3)), (3,), r"Gather\(0, \(0, 3\)\) does not fit a sample of shape \(3,\)"),
        (Gather(1, (0,)), (3,), r"Gather\(1, \(0,\)\) does not fit a sample of shape \(3,\)"),
        (Sum(2), (3, 4), r"Sum\(2\) does not fit a sample of shape \(3, 4\)"),
        (Sum(), (), r"Sum\(-1\) does not fit a sample of shape \(\)"),
    ],
    ids=lambda value: value.summary() if isinstance(value, Op) else None,
)
def test_shapes_that_do_not_fit(op: Op, shape: Shape, message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        op.infer({"x": shape})


def test_a_parameter_is_one_weight() -> None:
    assert Parameter((3,)).params() == {"value": ParamSpec((3,), default=0.0)}
    assert Parameter((3, 2), None, fan_in=2).params() == {"value": ParamSpec((3, 2), fan_in=2)}


@pytest.mark.parametrize(
    ("op", "text"),
    [
        (Reshape((2, 3)), "Reshape((2, 3))"),
        (Gather(1, (0, 2)), "Gather(1, (0, 2))"),
        (Gather(0, tuple(range(99))), "Gather(0, (0, 1, 2, 3, 4, 5, ...))"),  # a screen is not wide enough
        (Sum(1), "Sum(1)"),
        (Parameter((3,)), "Parameter((3,))"),
    ],
)
def test_in_a_few_words(op: Op, text: str) -> None:
    assert op.summary() == text
