"""Every function that equations are made of, by itself: run, and in one step of training.

Neurons hold them together, but not each of them: which one is wrong, or is claimed and missing, these say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final

import numpy as np

from snnhw.conformance.case import Case, LazyCase
from snnhw.conformance.cases.making.harness import NODE, Subject, alone, observed, probed, stepped
from snnhw.conformance.cases.making.neurons import LEVELS
from snnhw.conformance.cases.making.numbers import Randoms
from snnhw.conformance.cases.making.search import certain, chosen
from snnhw.conformance.cases.pointwise import is_arithmetic
from snnhw.ir import PRIMITIVES, Expr, FrozenMap, Param, Pointwise, Shape, greater, var, where
from snnhw.ir.expr import make
from snnhw.parity.arrays import Array

__all__ = ["cases", "function"]

SHAPE: Final[Shape] = (2, 3)
STEPS: Final = 8
BATCH: Final = 3

POSITIVE: Final[Mapping[str, int]] = {"log": 0, "sqrt": 0, "div": 1, "floordiv": 1}
"""Function -> which of its arguments must be a number above 0."""

BARE: Final[Mapping[str, Expr]] = {"const": var("x") * 0.3 + 0.7, "var": var("x")}
"""What has no arguments, as a function of x."""


def cases() -> Iterator[LazyCase]:
    """A run and a gradient for each."""
    for name in PRIMITIVES:
        op = function(name)
        subject = Subject(f"function-{name}", op, {"x": SHAPE})
        cls = "pointwise" if is_arithmetic(op) else "margin"
        yield chosen(f"{cls}/{subject.name}", partial(_run, f"{cls}/{subject.name}", subject), certain)
        yield chosen(f"gradient/{subject.name}", partial(_step, f"gradient/{subject.name}", subject), certain)


def function(name: str) -> Pointwise:
    """It, of the signal x and a parameter for each element, or of one of them."""
    if name in BARE:
        return _op(BARE[name], ())
    x, a = var("x"), var("a")
    if name == "nearest":
        return _op(make(name, x * a, data="levels"), ("a", "levels"))
    arguments = PRIMITIVES[name].args
    if arguments is None:  # a value, and what is said to be its slope
        return _op(make(name, x * x, x, a), ("a",))
    reals = iter((x * a, a)) if arguments.count("real") == 1 else iter((x, a))
    args = [greater(x, a) if sort == "bool" else next(reals) for sort in arguments]
    if name in POSITIVE:
        args[POSITIVE[name]] = args[POSITIVE[name]] * args[POSITIVE[name]] + 0.25
    found = make(name, *args)
    return _op(where(found, x * a, a) if PRIMITIVES[name].result == "bool" else found, ("a",))


def _op(y: Expr, params: tuple[str, ...]) -> Pointwise:
    shaped = FrozenMap({"a": SHAPE} if "a" in params else {})
    return Pointwise(FrozenMap({"y": y}), parameters=tuple(map(Param, params)), param_shapes=shaped)


def _given(subject: Subject) -> dict[str, Array]:
    """The levels of a table are in order."""
    return {f"{NODE}.levels": np.array(LEVELS)} if "levels" in subject.op.params() else {}


def _run(case_id: str, subject: Subject, numbers: Randoms) -> Case:
    given = _given(subject)
    return observed(case_id, alone(subject), numbers, given=given, time_steps=STEPS, batch=BATCH)


def _step(case_id: str, subject: Subject, numbers: Randoms) -> Case:
    given = _given(subject)
    case = observed(case_id, probed(subject), numbers, given=given, time_steps=STEPS, batch=BATCH)
    return stepped(case, lr=1.0)
