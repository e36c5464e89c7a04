"""Turns of phrase that error messages share."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from snnhw.words import brief, did_you_mean, listing, sentence

DEEP: list[Any] = []
for _ in range(sys.getrecursionlimit() + 100):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("fc", "'fc'"),
        ("x\n", r"'x\n'"),
        (3, "3"),
        ((3, 4), "(3, 4)"),
        ({"beta": [3]}, "{'beta': [3]}"),
        ([1, 2, 3, 4, 5, 6, 7], "[1, 2, 3, 4, 5, 6, ...]"),
        (None, "None"),
    ],
)
def test_brief(value: object, text: str) -> None:
    assert brief(value) == text


@pytest.mark.parametrize(
    "value", ["x" * 10**4, 10**4000, list(range(10**4)), DEEP, {"k" * 10**4: 1}, object()]
)
def test_brief_is_short(value: object) -> None:
    assert len(brief(value)) < 200


def test_listing() -> None:
    assert listing([]) == "none"
    assert listing(["a", "b\n"]) == r"'a', 'b\n'"
    assert listing([str(number) for number in range(5)], most=3) == "'0', '1', '2' and 2 more"
    assert listing(["a", "b"], most=2) == "'a', 'b'"


def test_did_you_mean() -> None:
    assert did_you_mean("cudda", ["cpu", "cuda"]) == " Did you mean 'cuda'?"
    assert did_you_mean("xyz", ["cpu", "cuda"]) == ""
    assert did_you_mean("cuda", []) == ""


@pytest.mark.parametrize("text", ["Go.", "Go!", "Go?"])
def test_sentences_end_once(text: str) -> None:
    assert sentence(text) == text
    assert sentence("Go") == "Go."
