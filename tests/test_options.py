"""From ``-o key=value`` to a backend's own frozen options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from snnhw.errors import InputError
from snnhw.plugin import NoOptions
from snnhw.registry import build_options


@dataclass(frozen=True)
class Options:
    threads: int = 1
    tolerance: float = 1e-6
    cache: bool = True
    math: Literal["exact", "fast"] = "exact"
    limit: int | None = 8
    folder: Path = Path()

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise ValueError(f"threads={self.threads}, where 1 or more is accepted")


def build(given: Mapping[str, object], options: type = Options) -> Any:
    class Plugin:
        name = "chip"
        Options = options

    return build_options(Plugin(), given)  # type: ignore[arg-type]  # all of a backend that is looked at


def test_nothing_given_gives_the_defaults() -> None:
    assert build({}) == Options()


def test_text_is_converted_by_the_type_of_the_option() -> None:
    text = {
        "threads": "4",
        "tolerance": "1e-3",
        "cache": "false",
        "math": "fast",
        "limit": "none",
        "folder": "x",
    }
    assert build(text) == Options(4, 1e-3, False, "fast", None, Path("x"))


def test_values_are_taken_as_they_are() -> None:
    values = {"threads": 4, "tolerance": 2, "cache": False, "limit": None, "folder": Path("x")}
    assert build(values) == Options(4, 2.0, False, "exact", None, Path("x"))


def test_a_typo_lists_the_options() -> None:
    with pytest.raises(InputError) as caught:
        build({"thread": 4})
    assert str(caught.value) == (
        "backend 'chip' has no option 'thread'. Did you mean 'threads'? Its options: threads (int), "
        "tolerance (float), cache (true or false), math (exact or fast), limit (int or none), folder (Path)."
    )


def test_a_backend_without_options_says_so() -> None:
    with pytest.raises(InputError) as caught:
        build({"emulate": "true"}, NoOptions)
    assert str(caught.value) == "backend 'chip' has no option 'emulate'. It has no options."


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("threads", "four", "int"),
        ("threads", True, "int"),
        ("threads", None, "int"),
        ("cache", "maybe", "true or false"),
        ("math", "wild", "exact or fast"),
        ("limit", "all", "int or none"),
        ("folder", 3, "Path"),
    ],
)
def test_a_value_of_another_type(name: str, value: object, accepted: str) -> None:
    with pytest.raises(InputError) as caught:
        build({name: value})
    assert str(caught.value) == f"backend 'chip', option '{name}': {value!r} was given; accepted: {accepted}."


def test_an_option_that_must_be_given() -> None:
    @dataclass(frozen=True)
    class Needy:
        address: str

    with pytest.raises(InputError) as caught:
        build({}, Needy)
    assert str(caught.value) == "backend 'chip' needs option 'address' (str)."


def test_options_that_refuse_themselves() -> None:
    with pytest.raises(InputError) as caught:
        build({"threads": "0"})
    assert (
        str(caught.value) == "backend 'chip' refuses these options: threads=0, where 1 or more is accepted."
    )
