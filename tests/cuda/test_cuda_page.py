"""The figures of `docs/cuda.md` are those of the kernels that are printed now."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cuda_calls import WITH_TRITON
from test_cuda_compiled import faults, reading, waits
from test_cuda_functions import ULPS

if TYPE_CHECKING:
    from snnhw.passes import ScanLoop
    from snnhw_cuda.reading import Reading

pytestmark = WITH_TRITON

PAGE = Path(__file__).parents[2] / "docs" / "cuda.md"

SHOWN = (
    *(("leaky", "Leaky", target, "full") for target in ("sm_80", "sm_90", "sm_100", "gfx942")),
    ("leaky", "Leaky, signals in bfloat16", "sm_90", "bfloat16"),
    ("synaptic", "Synaptic, beta of each neuron", "sm_90", "full"),
    ("adaptive", "a model of its own, two states", "sm_90", "full"),
)

REGISTERS = 3
"""The column that is another with each release of Triton's assembler."""


def table(rows: Iterable[Sequence[str]]) -> str:
    first, *others = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([first, "|" + "---|" * (first.count("|") - 1), *others])


def shown(marker: str) -> str:
    found = re.search(rf"<!-- {marker} -->\n(.*?)\n?<!-- /{marker} -->", PAGE.read_text(), re.DOTALL)
    assert found
    return found[1]


def cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in text.splitlines()]


@lru_cache
def readings() -> list[tuple[str, ScanLoop, Reading]]:
    """What is shown, compiled and read: whose it is, in words."""
    from cuda_loops import of_the_pool

    return [
        (words, loop, reading(loop, target, signals=signals))
        for name, words, target, signals in SHOWN
        for loop in of_the_pool(name)
    ]


def machine_code() -> str:
    from snnhw_cuda.table import HEADINGS, figures

    rows: list[Sequence[str]] = [("neuron", "pass", *HEADINGS[1:])]
    rows += [(words, loop.name, found.code.target, *figures(found)) for words, loop, found in readings()]
    return table(rows)


def test_what_the_page_shows_is_what_it_says() -> None:
    for words, loop, found in readings():
        assert [*faults(found, loop), *waits(found, loop)] == [], words
        assert found.code.signal == found.code.itemsize or "cvt.rn.bf16x2.f32" in found.code.text


def test_the_page_shows_what_is_compiled() -> None:
    written, found = shown("machine code"), machine_code()
    if not metadata.version("triton").startswith("3.9."):
        written, found = (
            str([row[:REGISTERS] + row[REGISTERS + 1 :] for row in cells(text)]) for text in (written, found)
        )
    assert written == found, f"write it there:\n{found}"


def test_the_page_shows_how_near_our_functions_are() -> None:
    names = list(ULPS["float32"])
    rows = [
        ["", *names],
        *([dtype, *(f"{errors[name]:g}" for name in names)] for dtype, errors in ULPS.items()),
    ]
    assert shown("functions") == table(rows), f"write it there:\n{table(rows)}"


@pytest.mark.parametrize("words", ["compiled, and never run", "not measured"])
def test_the_page_claims_nothing_more(words: str) -> None:
    assert words in PAGE.read_text()
