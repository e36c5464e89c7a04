"""What errors say, and that they survive a journey between processes."""

from __future__ import annotations

import copy
import pickle

import pytest

from snnhw import errors
from snnhw.errors import ProgramError, SnnhwError, Unsupported


def test_every_error_is_exported_and_drawn_in_the_tree() -> None:
    found = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, SnnhwError)
    }
    assert found == set(errors.__all__)
    assert errors.__doc__ is not None
    assert all(name in errors.__doc__ for name in found)


def test_one_problem_stands_in_one_line() -> None:
    error = ProgramError("fc: too large")
    assert error.problems == ("fc: too large",)
    assert str(error) == "this program is not valid: fc: too large"


def test_several_problems_are_listed() -> None:
    error = ProgramError(["a: one", "b: two"])
    assert error.problems == ("a: one", "b: two")
    assert str(error) == "this program is not valid, for 2 reasons:\n  - a: one\n  - b: two"


def test_of_many_problems_a_screenful_is_shown() -> None:
    error = ProgramError([f"n{number}: wrong" for number in range(1000)])
    assert len(error.problems) == 1000
    assert len(str(error).splitlines()) == 22
    assert str(error).endswith("  - n19: wrong\n  ... and 980 more")


def test_reasons_against_a_backend() -> None:
    error = Unsupported("chip", ["no Conv2d", "no float64"], ("cpu", "cuda"))
    assert str(error) == (
        "backend 'chip' cannot run this program, for 2 reasons:\n  - no Conv2d\n  - no float64\n"
        "Installed backends that could: cpu, cuda."
    )
    assert str(Unsupported("chip", ["no Conv2d"])).endswith(": no Conv2d")  # others have not been asked
    assert str(Unsupported("chip", ["no Conv2d"], ())).endswith(
        "No other installed backend could run it as it is."
    )


@pytest.mark.parametrize(
    "error", [ProgramError(["a: one", "b: two"]), Unsupported("chip", ["one"], ("cpu",))]
)
def test_errors_are_the_same_after_pickling(error: SnnhwError) -> None:
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert vars(again) == vars(error)
